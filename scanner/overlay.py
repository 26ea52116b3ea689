"""An overlay: the contents that package installs alone would not give back, as one archive (`.tar.zst`).

The archive is pax (see `scanner/agent/archive.py`), GNU tar and Python read it alike. First come the deletions, then the contents in
walk order:

    character device 0:0      a whiteout, as in overlayfs: what is at that path goes away; a folder only when it is empty by then.
                              Children come before their folders.
    file, directory, symlink, fifo, char, block, hardlink
                              owner (numbers and names), mode, mtime to the nanosecond, attributes with ACLs and capabilities
                              (`SCHILY.xattr.*`), holes (GNU sparse 1.0). A hardlink names an earlier member.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from scanner.agent.archive import WHITEOUT
from scanner.errors import HostileInput
from scanner.restore import Restorer, SkipPath, keep_all

CONTENTS = "overlay.tar.zst"
FOREIGN = "foreign.tar.zst"
"""The files of packages that no repository offers, whole, for repacking."""


class Bounded(tarfile.TarInfo):
    """A member whose extended headers, which are read into memory, may be so long at most."""

    longest = 4 << 20
    """Bytes; a path, and attributes of up to 64 KiB each."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if self.type in extended and self.size > self.longest:
            raise HostileInput("a header of the archive is too long", hint="make the archive again from the files that it was made of")
        member: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return member


class Archive(tarfile.TarFile):
    """A TarFile for reading a stream once, in bounded memory: members are not kept."""

    tarinfo = Bounded
    members: list[tarfile.TarInfo]
    offset: int

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while (member := self.next()) is not None:
            self.members.clear()
            yield member


@contextmanager
def open_overlay(path: Path) -> Iterator[tarfile.TarFile]:
    """The archive, opened as a stream: `for member in tar`, with `tar.extractfile(member)` before the next one is taken.

    Raises `HostileInput` for what is no archive, or is a damaged one.
    """
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        try:
            with Archive.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
                yield tar
        except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
            raise HostileInput(f"the archive {path.name} is damaged: {error}", hint="scan the machine again") from error


def member_path(member: tarfile.TarInfo) -> str:
    """The absolute path that a member stands for."""
    return "/" + member.name.strip("/") if member.name not in (".", "./") else "/"


def is_whiteout(member: tarfile.TarInfo) -> bool:
    """Whether the member is a deletion."""
    return member.ischr() and (member.devmajor, member.devminor) == WHITEOUT


def unpack(tar_path: Path, root: Path, *, skip: SkipPath = keep_all) -> Iterator[str]:
    """Put the whole overlay over the tree at `root`, as root; yields each path as it is restored (or deleted).

    Paths for which `skip` answers True are left alone. Nothing outside `root` is ever written: symlinks inside are taken as a process
    with that root would. Folders get their metadata when everything is in place, at the end. Raises `HostileInput` and OSError.
    """
    with open_overlay(tar_path) as tar, Restorer(root) as restorer:
        for member in tar:
            path = member_path(member)
            if skip(path):
                continue
            if is_whiteout(member):
                if restorer.remove(path):
                    yield path
            else:
                restorer.restore(path, member, tar)
                yield path
