"""The archives of a scan that comes with a template, read as what a stranger may have made: whatever could not be restored, would lead
elsewhere or never end is refused with its member, before anything is built of it.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from builders.archived import Limits
from scanner.errors import HostileInput
from scanner.metadata import Metadata, of_member
from scanner.overlay import Archive, member_path, open_overlay
from scanner.repack import TYPES
from scanner.restore import extents
from scanner.wire import safe_path

HINT = "export the template again; files are added with: tar -rf overlay.tar -C FOLDER srv/app"
LARGEST = 1 << 44
"""Bytes of one file, holes included: what ext4 can hold."""
_DAMAGE = (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError, OverflowError, LookupError, TypeError)
"""What tarfile raises for headers that are none."""

Member = tuple[str, tarfile.TarInfo, Metadata, tarfile.TarFile]
"""Path on the machine, the member, what it says besides contents, the archive that it is in."""


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Whatever tarfile stumbles over in here is damage of the archive `name`."""
    try:
        yield
    except HostileInput:
        raise
    except _DAMAGE as error:
        raise HostileInput(f"{name} is no tar archive, or a damaged one: {error}", hint=HINT) from error


def members(overlay: Path, name: str) -> Iterator[Member]:
    """The members of a plain archive, each checked, in order; to be read within `refusing`. Raises `HostileInput`."""
    with refusing(name), Archive.open(overlay, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            yield *_checked(member, name), tar


def check_packed(archive: Path, name: str) -> None:
    """A compressed archive is one to its end, and could be restored. Raises `HostileInput`."""
    allowed = Limits().of(archive)
    with refusing(name), open_overlay(archive) as tar:
        for member in tar:
            _checked(member, name)
            if tar.offset + member.size > allowed:
                raise HostileInput(f"{name} holds more than it may: refused at {_shown(member)}", hint=HINT)


def _checked(member: tarfile.TarInfo, name: str) -> tuple[str, tarfile.TarInfo, Metadata]:
    path = member_path(member)
    try:
        safe_path(path)
        if member.islnk():
            safe_path("/" + member.linkname)
        elif not member.isreg() and member.type not in TYPES:
            raise ValueError("its type cannot be restored")
        if "\0" in member.linkname:
            raise ValueError("a link's target has a NUL in it")
        metadata = of_member(member)
        os.makedev(member.devmajor, member.devminor)
        if not (0 <= metadata.uid < 1 << 32 and 0 <= metadata.gid < 1 << 32 and abs(metadata.mtime) < 1 << 63):
            raise ValueError("its owner or time is none")
        if not 0 <= member.size <= LARGEST:
            raise ValueError(f"no file has {member.size} bytes")
        if member.isreg():
            extents(member)
    except (ValueError, OverflowError) as error:
        raise HostileInput(f"{name} has a member that is refused, {_shown(member)}: {error}", hint=HINT) from error
    return path, member, metadata


def _shown(member: tarfile.TarInfo) -> str:
    return ascii(member.name[:120])
