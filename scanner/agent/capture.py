"""Phase 2: the chosen paths, whole, as a tar stream.

Paths that are gone by now are left out, as are sockets and character devices 0:0 (they stand for deletions in an overlay): the
other end sees what is missing. A file that changes its size while it is copied is cut or filled to what its header announced; its
digest then differs from the inventory's.
"""

import os
import stat as st
from typing import Any, BinaryIO, Dict, Iterator, List, Optional, Tuple

from scanner.agent import accounts, xattrs
from scanner.agent.archive import DIRECTORY, FILE, HARDLINK, KINDS, WHITEOUT, Member, Writer
from scanner.agent.content import extents
from scanner.agent.found import KINDS as TYPES
from scanner.agent.tree import FILE as READ
from scanner.agent.tree import FOLDER, Root, open_at

CHUNK = 1 << 20


def capture(root: Root, paths: str, out: BinaryIO) -> None:
    """Write the archive of the paths that the file `paths` names: NUL-separated raw bytes, in walk order; `-` is standard input."""
    source = open(0 if paths == "-" else paths, "rb")  # noqa: SIM115
    with source:
        bring(root, source, out)


def bring(root: Root, source: Any, out: BinaryIO) -> None:
    """The same for paths that are read from `source`, by its `read(size)`, to its end."""
    archive = _Capture(root, out)
    for path in _split(source):
        archive.add(path)
    archive.end()


def _split(source: Any) -> Iterator[bytes]:
    rest = b""
    while True:
        chunk = source.read(CHUNK)
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    if rest:
        yield rest


class _Trail:
    """The open folders on the way to the last path: neighbours in walk order share most of them."""

    def __init__(self, root: Root) -> None:
        self._names: List[bytes] = []
        self._fds = [os.dup(root.fd)]

    def folder(self, names: List[bytes]) -> int:
        """A descriptor of that folder, valid until the next call. Raises OSError when it is not there (any more)."""
        shared = 0
        while shared < min(len(names), len(self._names)) and names[shared] == self._names[shared]:
            shared += 1
        while len(self._names) > shared:
            self._names.pop()
            os.close(self._fds.pop())
        for name in names[shared:]:
            self._fds.append(os.open(name, FOLDER, dir_fd=self._fds[-1]))
            self._names.append(name)
        return self._fds[-1]


class _Capture:
    def __init__(self, root: Root, out: BinaryIO) -> None:
        self._trail = _Trail(root)
        self._writer = Writer(out)
        self._users = accounts.names(root, accounts.PASSWD)
        self._groups = accounts.names(root, accounts.GROUP)
        self._first: Dict[Tuple[int, int], bytes] = {}

    def add(self, path: bytes) -> None:
        *folders, name = [part for part in path.split(b"/") if part] or [b"."]
        try:
            folder = self._trail.folder(folders)
            stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._add(path, folder, name, stat)
        except BrokenPipeError:
            raise
        except OSError:
            # Gone or unreadable by now: left out, which the other end sees.
            return

    def end(self) -> None:
        self._writer.end()

    def _add(self, path: bytes, folder: int, name: bytes, stat: os.stat_result) -> None:
        kind = TYPES[st.S_IFMT(stat.st_mode)]
        device = (os.major(stat.st_rdev), os.minor(stat.st_rdev))
        if kind not in KINDS or (kind == "char" and device == WHITEOUT):
            return
        key = (stat.st_dev, stat.st_ino)
        if kind != "directory" and stat.st_nlink > 1 and key in self._first:
            member = self._member(path, HARDLINK, stat)
            member.link = self._first[key]
            self._writer.add(member)
            return
        member = self._member(path, KINDS[kind], stat)
        if kind == "file":
            self._file(member, folder, name)
        else:
            self._special(member, folder, name, device)
        if kind != "directory" and stat.st_nlink > 1:
            self._first[key] = path

    def _member(self, path: bytes, flag: bytes, stat: os.stat_result) -> Member:
        member = Member(path, flag, st.S_IMODE(stat.st_mode), 0, stat.st_mtime_ns)
        member.uid, member.gid = stat.st_uid, stat.st_gid
        member.uname = self._users.get(stat.st_uid, b"")
        member.gname = self._groups.get(stat.st_gid, b"")
        return member

    def _special(self, member: Member, folder: int, name: bytes, device: Tuple[int, int]) -> None:
        if member.flag == DIRECTORY:
            fd = open_at(name, FOLDER, folder)
            try:
                member.xattrs = xattrs.read(fd)
            finally:
                os.close(fd)
        else:
            member.xattrs = xattrs.read(xattrs.beside(folder, name))
        if member.flag == KINDS["symlink"]:
            member.link = os.readlink(name, dir_fd=folder)
        elif member.flag in (KINDS["char"], KINDS["block"]):
            member.device = device
        self._writer.add(member)

    def _file(self, member: Member, folder: int, name: bytes) -> None:
        fd = open_at(name, READ, folder)
        try:
            stat = os.fstat(fd)
            if not st.S_ISREG(stat.st_mode):
                return
            member.size, member.flag = stat.st_size, FILE
            member.xattrs = xattrs.read(fd)
            member.extents = extents(fd, stat)
            self._writer.add(member)
            whole = [[0, stat.st_size]]
            parts = whole if member.extents is None else member.extents
            self._writer.data(_pieces(fd, parts), sum(length for _, length in parts))
        finally:
            os.close(fd)


def _pieces(fd: int, parts: List[List[int]]) -> Iterator[bytes]:
    """The parts' bytes, one after the other; zeros for what is not there (any more)."""
    for offset, length in parts:
        end = offset + length
        while offset < end:
            chunk = _read(fd, min(CHUNK, end - offset), offset) or bytes(min(CHUNK, end - offset))
            yield chunk
            offset += len(chunk)


def _read(fd: int, size: int, offset: int) -> Optional[bytes]:
    try:
        return os.pread(fd, size, offset)
    except BrokenPipeError:
        raise
    except OSError:
        return None
