"""What a path is besides its contents: owner, mode, attributes, time; and how it is put on a path, in the one order that works."""

from __future__ import annotations

import base64
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scanner.agent import xattrs
from scanner.report import FileEntry

XATTR = "SCHILY.xattr."
KEPT = ("security.selinux", "security.ima", "security.evm")
"""Labels that the machine's own policy sets; they are not taken away where the source had none."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """`mode` None: a symlink, which has none. `mtime` in nanoseconds."""

    uid: int
    gid: int
    mode: int | None
    mtime: int
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def of_entry(entry: FileEntry) -> Metadata:
    """Of a line of the file table."""
    values = {name: base64.b64decode(value) for name, value in entry.xattrs.items()}
    mode = None if entry.type == "symlink" else int(entry.mode, 8)
    return Metadata(entry.uid, entry.gid, mode, entry.mtime, values)


def of_member(member: tarfile.TarInfo) -> Metadata:
    """Of a member of an overlay."""
    values = {
        _unescaped(key[len(XATTR) :]): value.encode("utf-8", "surrogateescape")
        for key, value in member.pax_headers.items()
        if key.startswith(XATTR)
    }
    mode = None if member.issym() else member.mode & 0o7777
    return Metadata(member.uid, member.gid, mode, _nanoseconds(member), values)


def _unescaped(name: str) -> str:
    return name.replace("%3D", "=").replace("%25", "%")


def _nanoseconds(member: tarfile.TarInfo) -> int:
    """tarfile makes a float of the time; the record itself has every digit."""
    whole, _, part = member.pax_headers.get("mtime", str(int(member.mtime))).partition(".")
    count = int(part.ljust(9, "0")[:9] or 0)
    return int(whole) * 10**9 + (-count if whole.startswith("-") else count)


def apply(folder: int, name: bytes, wanted: Metadata) -> None:
    """Put `wanted` on `name` in the folder with that descriptor; a symlink itself, never what it points to. Raises OSError.

    A change of owner clears set-id bits and capabilities, and an ACL changes the mode: so owner, mode, attributes, and the time last.
    """
    os.chown(name, wanted.uid, wanted.gid, dir_fd=folder, follow_symlinks=False)
    place = xattrs.beside(folder, name)
    if wanted.mode is not None:
        Path(os.fsdecode(place)).chmod(wanted.mode)
    _attributes(place, wanted.xattrs)
    os.utime(name, ns=(wanted.mtime, wanted.mtime), dir_fd=folder, follow_symlinks=False)


def _attributes(place: bytes, wanted: Mapping[str, bytes]) -> None:
    """Exactly these: an ACL that was inherited from a folder's default goes as well."""
    have = xattrs.read(place)
    for name in have:
        if name not in wanted and name not in KEPT:
            os.removexattr(place, name, follow_symlinks=False)
    for name, value in wanted.items():
        if have.get(name) != value:
            os.setxattr(place, name, value, follow_symlinks=False)
