"""What a comparison asks of the copy's disk beyond its file table: of the disk itself, or of what a proof wrote down of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from builders.explain import listed, listed_by, lists_of
from scanner.agent.tree import Root
from scanner.overlay import member_path, open_overlay
from scanner.report import Kind, Report, State

SECRETS = {
    "/etc/shadow": "password hash or its age",
    "/etc/gshadow": "group's password, administrators or members",
    "/etc/subuid": "subordinate user ids",
    "/etc/subgid": "subordinate group ids",
}
"""Tables that a report tells nothing of, or not all: every line of the source's must be one of the copy's. What differs, in words."""


class Disk(Protocol):
    """The copy's disk."""

    def link(self, path: str) -> str | None:
        """Where a symbolic link points; None for anything else."""

    def listed(self, packages: Iterable[str]) -> set[str]:
        """Every path that the packages list."""

    def prefix(self, path: str, size: int) -> str:
        """sha256 of a file's first `size` bytes; empty where that cannot be known."""

    def secrets(self, source: Report) -> list[tuple[str, str]]:
        """Table and name of every line of the source's `SECRETS` that the copy does not have. The lines themselves are never told."""


class Attested(BaseModel):
    """What nobody can compute again without the disk: whoever checks a proof elsewhere takes it on the proof's word."""

    model_config = ConfigDict(extra="forbid")

    prefixes: dict[str, str] = Field(default_factory=dict)
    """Log that grew -> sha256 of as many of its first bytes as the source has."""
    secrets: list[tuple[str, str]] = Field(default_factory=list)


class Mounted:
    """The disk itself, mounted at `root`; remembers in `attested` what it answered."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.attested = Attested()

    def link(self, path: str) -> str | None:
        try:
            return str(Path(f"{self.root}{path}").readlink())
        except OSError:
            return None

    def read(self, path: str, size: int = 64 << 20) -> bytes:
        """Up to `size` first bytes of a file, reached through no link that leads out of the tree; none where it cannot be read."""
        with closing(Root(os.fsencode(self.root))) as inside:
            return inside.read(os.fsencode(path), size) or b""

    def listed(self, packages: Iterable[str]) -> set[str]:
        return listed_by(self.root, packages)

    def lists(self, packages: Iterable[str]) -> dict[str, bytes]:
        """Path -> contents of dpkg's lists of these packages."""
        return lists_of(self.root, packages)

    def prefix(self, path: str, size: int) -> str:
        self.attested.prefixes[path] = hashlib.sha256(self.read(path, size)).hexdigest()
        return self.attested.prefixes[path]

    def secrets(self, source: Report) -> list[tuple[str, str]]:
        overlay = source.folder / "overlay.tar.zst"
        if not source.head.overlay or not overlay.exists():
            return []
        self.attested.secrets = [
            (path, _name(line))
            for path, ours in _members(overlay, SECRETS).items()
            for line in sorted(_lines(ours) - _lines(self.read(path)))
        ]
        return self.attested.secrets


class Recorded:
    """A disk that is elsewhere: answers from the copy's file table, the lists of packages, and what the proof attested."""

    def __init__(self, report: Report, lists: Mapping[str, bytes], attested: Attested) -> None:
        """`lists`: path -> contents; whether these are the copy's is the caller's to check."""
        entries = (entry for entry in report.files() if entry.type == Kind.SYMLINK and entry.state != State.MISSING)
        self._links = {entry.path: entry.target for entry in entries}
        self._lists = lists
        self.attested = attested

    def link(self, path: str) -> str | None:
        return self._links.get(path)

    def listed(self, packages: Iterable[str]) -> set[str]:
        """The lists that came along: those of the added packages."""
        return listed(self._lists.values(), merged="/bin" in self._links)

    def prefix(self, path: str, size: int) -> str:
        return self.attested.prefixes.get(path, "")

    def secrets(self, source: Report) -> list[tuple[str, str]]:
        return self.attested.secrets


def _lines(table: bytes) -> set[bytes]:
    return {line for line in table.splitlines() if line.strip()}


def _name(line: bytes) -> str:
    return line.partition(b":")[0].decode(errors="backslashreplace")


def _members(overlay: Path, wanted: Iterable[str]) -> dict[str, bytes]:
    """Contents of regular files of the overlay."""
    left, found = set(wanted), {}
    with open_overlay(overlay) as tar:
        for member in tar:
            path = member_path(member)
            if path in left and member.isreg():
                data = tar.extractfile(member)
                found[path] = data.read() if data else b""
                left.remove(path)
            if not left:
                break
    return found
