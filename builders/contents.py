"""The sha256 of what lies on a base disk, kept beside it in the cache: a copy of the disk has the same inodes, so only what was written since is read."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from scanner.host.whole import write_whole

Identity = tuple[int, int, int]
"""Inode, size and mtime (nanoseconds) of a file, as they were before anything was given another time."""


@dataclass(slots=True)
class Contents:
    """What is known of one base disk, and what was asked this time."""

    known: dict[Identity, str] = field(default_factory=dict)
    asked: dict[Identity, str] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path | None) -> Contents:
        """What an earlier build wrote into the file; nothing where there is none."""
        with suppress(FileNotFoundError):
            if file is not None:
                return cls({(inode, size, mtime): digest for inode, size, mtime, digest in json.loads(file.read_bytes())})
        return cls()

    def sha256(self, folder: int, name: bytes, identity: Identity) -> str:
        """Of the file `name` in the folder with that descriptor, never through a link. Raises OSError."""
        digest = self.known.get(identity) or _read(folder, name)
        self.asked[identity] = digest
        return digest

    def save(self, file: Path | None) -> None:
        """For the next build from the same base, unless somebody has done so; a base that was pruned meanwhile keeps nothing."""
        if file is not None and not file.exists():
            with suppress(FileNotFoundError):
                write_whole(file, json.dumps([[*identity, digest] for identity, digest in self.asked.items()]))


def _read(folder: int, name: bytes) -> str:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
