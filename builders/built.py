"""How a build left a path of its own: what a proof holds the copy against, so that nothing that was changed or put there since passes for the build's."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from builders.contents import Contents
from scanner.agent import xattrs
from scanner.agent.found import KINDS
from scanner.report import FileEntry, Kind


@dataclass(frozen=True, slots=True)
class Built:
    """One path; every field as a line of a file table has it (`scanner.report.FileEntry`)."""

    type: str
    mode: str
    uid: int = 0
    gid: int = 0
    size: int = 0
    """Of a regular file only."""
    sha256: str | None = None
    target: str | None = None
    device: str | None = None
    xattrs: Mapping[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """As plain data, without what says nothing."""
        return {name: value for name, value in asdict(self).items() if value}

    def differing(self, entry: FileEntry) -> tuple[str, ...]:
        """Which fields are others on `entry`; its time, which is no part of what was written, is not looked at."""
        theirs = {name: getattr(entry, name) for name in _FIELDS}
        if entry.type != Kind.FILE:
            theirs["size"] = 0
        return tuple(name for name in _FIELDS if getattr(self, name) != theirs[name])


_FIELDS = ("type", "mode", "uid", "gid", "size", "sha256", "target", "device", "xattrs")


def look(folder: int, name: bytes, contents: Contents | None = None, mtime: int | None = None) -> Built:
    """The path `name` in the folder with that descriptor, never through a link. Raises OSError.

    `contents` may know its sha256 by the `mtime` that it had on the base disk.
    """
    info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kind = KINDS[stat.S_IFMT(info.st_mode)]
    values = xattrs.read(xattrs.beside(folder, name))
    regular = kind == Kind.FILE
    identity = (info.st_ino, info.st_size, info.st_mtime_ns if mtime is None else mtime)
    return Built(
        kind,
        f"{stat.S_IMODE(info.st_mode):04o}",
        info.st_uid,
        info.st_gid,
        info.st_size if regular else 0,
        (contents or Contents()).sha256(folder, name, identity) if regular else None,
        os.fsdecode(os.readlink(name, dir_fd=folder)) if kind == Kind.SYMLINK else None,
        f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}" if kind in (Kind.CHAR, Kind.BLOCK) else None,
        {key: base64.b64encode(value).decode("ascii") for key, value in values.items()},
    )
