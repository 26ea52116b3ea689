"""From the capture's plain tar stream to an overlay on disk, in one pass, with every member held against what was asked for."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from scanner.agent.archive import Writer, whiteout
from scanner.agent.tree import printable
from scanner.errors import HostileInput
from scanner.overlay import Archive, is_whiteout, member_path
from scanner.report import BlindSpot, FileEntry, walk_key
from scanner.wire import safe_path

SLACK = 256 << 20
"""Bytes that a stream may have beyond what the inventory announced: files on a live system grow between the phases."""
TYPES = {
    tarfile.REGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
END = bytes(1024)
OVERTAKEN = "changed between inventory and capture"
"""Reason of a blind spot: the archive has later contents than the file table tells of."""


def repack(stream: BinaryIO, into: Path, asked: Iterable[FileEntry], deleted: Iterable[str] = (), *, announced: int) -> list[BlindSpot]:
    """Write the archive `into`: whiteouts for `deleted`, then the members of `stream`, which must be among `asked`, in that order.

    `announced` is the sum of the sizes of what was asked for. Gives back what is not as the inventory said: gone, or changed since.
    Raises `HostileInput`; then nothing is left on disk.
    """
    partial = into.with_name(into.name + ".partial")
    try:
        with partial.open("wb") as out, zstandard.ZstdCompressor(level=3).stream_writer(out, closefd=False) as packed:
            writer = Writer(cast(BinaryIO, packed))
            for path in deleted:
                writer.add(whiteout(path.encode("utf-8", "surrogateescape")))
            spots = list(_Checked(asked, announced).run(_Tee(stream, cast(BinaryIO, packed), announced * 2 + SLACK)))
        partial.rename(into)
    finally:
        partial.unlink(missing_ok=True)
    return spots


class _Tee:
    """A stream whose every byte, as it is read, is written on; it refuses to be endless and remembers how it ended."""

    def __init__(self, stream: BinaryIO, out: BinaryIO, at_most: int) -> None:
        self._stream = stream
        self._out = out
        self._left = at_most
        self._count = 0
        self._tail = b""

    def read(self, size: int) -> bytes:
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        self._count += len(chunk)
        if self._left < 0:
            raise HostileInput("the capture is far larger than the inventory announced", hint="scan again; if it stays, the target is not to be trusted")
        self._out.write(chunk)
        self._tail = (self._tail + chunk)[-len(END) :]
        return chunk

    def drain(self, members_end: int) -> None:
        """To the end of the stream, which must be that of an archive: two empty blocks behind the last member."""
        while self.read(1 << 20):
            pass
        if self._tail != END or self._count - members_end < len(END):
            raise HostileInput("the capture stopped before its end", hint="scan again; the target's connection or disk may have failed")


class _Checked:
    def __init__(self, asked: Iterable[FileEntry], announced: int) -> None:
        self._asked = iter(asked)
        self._announced = announced

    def run(self, tee: _Tee) -> Iterator[BlindSpot]:
        try:
            with Archive.open(fileobj=cast(BinaryIO, tee), mode="r|", bufsize=1 << 18, encoding="utf-8", errors="surrogateescape") as tar:
                for member in tar:
                    yield from self._member(member, tar)
                members_end = tar.offset
        except HostileInput:
            raise
        except (tarfile.TarError, ValueError, OverflowError, EOFError, LookupError) as error:
            raise HostileInput(f"the capture is no proper archive: {error}", hint="scan again") from error
        tee.drain(members_end)
        for entry in self._asked:
            yield _spot(entry.path, "gone before it could be captured")

    def _member(self, member: tarfile.TarInfo, tar: tarfile.TarFile) -> Iterator[BlindSpot]:
        path = member_path(member)
        safe_path(path)
        entry = next(self._asked, None)
        while entry is not None and entry.path != path:
            yield _spot(entry.path, "gone before it could be captured")
            entry = next(self._asked, None)
        if entry is None:
            raise HostileInput(f"the capture brings {path!r}, which was not asked for", hint="scan again; if it stays, the target is not to be trusted")
        self._check_type(member, path)
        if not member.islnk() and TYPES.get(member.type, "file") != entry.type:
            yield _spot(path, "became something else before it could be captured")
        elif member.isreg() and self._digest(member, tar, entry) != entry.sha256:
            yield _spot(path, OVERTAKEN)

    def _check_type(self, member: tarfile.TarInfo, path: str) -> None:
        if member.islnk():
            link = "/" + member.linkname
            safe_path(link)
            if walk_key(link) >= walk_key(path):
                raise HostileInput(f"the hardlink {path!r} leads to what does not come before it")
        elif (member.type not in TYPES and not member.isreg()) or is_whiteout(member):
            raise HostileInput(f"the capture has a member of a type that is refused: {path!r}")

    def _digest(self, member: tarfile.TarInfo, tar: tarfile.TarFile, entry: FileEntry) -> str | None:
        if member.size > entry.size * 2 + SLACK:
            raise HostileInput(f"{entry.path!r} is far larger than the inventory announced")
        if entry.sha256 is None:
            return None
        source = tar.extractfile(member)
        assert source is not None
        sha256 = hashlib.sha256()
        while chunk := source.read(1 << 20):
            sha256.update(chunk)
        return sha256.hexdigest()


def _spot(path: str, reason: str) -> BlindSpot:
    return BlindSpot(path=printable(path.encode("utf-8", "surrogateescape")), reason=reason)
