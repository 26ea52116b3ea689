"""What packages ship, from those .deb files that the machine still has (deb(5)): types, modes and owners, which dpkg's database does not keep.

A file counts only where it is the very package that is installed: its name, version and architecture, and its own list of MD5 sums, equal to the
installed one. Small ones are read first, `AT_MOST` bytes of them in all, and what cannot be read here (a compression that this Python does not
have, a damaged file) is not known.
"""

import importlib
import os
import stat as st
from typing import IO, Dict, Iterator, List, Optional, Tuple, cast

from scanner.agent.found import KINDS
from scanner.agent.shipped import Names, Shipped
from scanner.agent.tree import Root, printable

ARCHIVES = b"/var/cache/apt/archives"
AT_MOST = 64 << 20
"""Bytes of unpacked members in all."""
MAGIC = b"!<arch>\n"
HEADER = 60
"""Bytes before each member (ar(5))."""

Named = Tuple[str, str, str]
"""A package's name, version and architecture."""
Paths = Dict[bytes, Shipped]
"""What a package ships, by the path that it names."""


class Debs:
    """The .deb files of a machine. Iterate `shipped` once: it stops when `AT_MOST` bytes were read."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._files = dict(_listed(root))

    def __bool__(self) -> bool:
        return bool(self._files)

    def shipped(self, sums: Dict[Named, Optional[bytes]], names: Names) -> Iterator[Tuple[Named, Paths]]:
        """What each of the installed packages ships, where that can be known; `sums` is what dpkg keeps of their MD5 sums."""
        who = _Who(names)
        budget = Budget(AT_MOST)
        for package in sorted(sums.keys() & self._files.keys(), key=lambda one: (self._files[one][1], one)):
            try:
                paths = self._read(self._files[package][0], sums[package], who, budget)
            except Spent:
                return
            except Exception:
                # tarfile, zlib and lzma each have errors of their own for a file that somebody damaged.
                continue
            if paths is not None:
                yield package, paths

    def _read(self, name: bytes, installed: Optional[bytes], who: "_Who", budget: "Budget") -> Optional[Paths]:
        with open(self._root.open(ARCHIVES + b"/" + name), "rb") as deb:
            members = _members(deb)
            if _sums(deb, members, budget) != installed:
                return None
            return _paths(deb, members, who, budget)


class Spent(Exception):
    """As much was read as may be."""


class Budget:
    """How many bytes may still be read."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Raises `Spent`."""
        self.left -= count
        if self.left < 0:
            raise Spent


class _Counted:
    """A stream that is read on a budget."""

    def __init__(self, stream: IO[bytes], budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int) -> bytes:
        piece = self._stream.read(size)
        self._budget.take(len(piece))
        return piece


class _Part:
    """One member of an open file, read from its begin to its end."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file = file
        self._left = size
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        piece = self._file.read(wanted)
        self._left -= len(piece)
        return piece


def _listed(root: Root) -> Iterator[Tuple[Named, Tuple[bytes, int]]]:
    """Package -> the name of its file, and its size. apt names them NAME_VERSION_ARCHITECTURE.deb, with `%3a` for a colon."""
    for name in root.names(ARCHIVES):
        words = name[:-4].decode("utf-8", "replace").replace("%3a", ":").split("_")
        if name.endswith(b".deb") and len(words) == 3:
            try:
                yield (words[0], words[1], words[2]), (name, root.lstat(ARCHIVES + b"/" + name).st_size)
            except OSError:
                continue


def _members(deb: IO[bytes]) -> List[Tuple[str, int, int]]:
    """Name, offset and size of each member. Raises ValueError for what is no archive."""
    if deb.read(len(MAGIC)) != MAGIC:
        raise ValueError("no archive")
    found = []
    at = len(MAGIC)
    end = os.fstat(deb.fileno()).st_size
    while at + HEADER <= end:
        deb.seek(at)
        head = deb.read(HEADER)
        size = int(head[48:58])
        if size < 0 or at + HEADER + size > end:
            raise ValueError("cut short")
        found.append((head[:16].decode("ascii").strip().rstrip("/"), at + HEADER, size))
        at += HEADER + size + size % 2
    return found


def _stream(deb: IO[bytes], members: List[Tuple[str, int, int]], name: str, budget: Budget) -> IO[bytes]:
    """The unpacked tar archive `name`. Raises ValueError, and ImportError where this Python cannot unpack it."""
    for member, start, size in members:
        stem, _, packing = member.partition(".tar")
        if stem == name:
            part = cast("IO[bytes]", _Part(deb, start, size))
            return cast("IO[bytes]", _Counted(_unpacked(part, packing), budget))
    raise ValueError("no " + name)


def _unpacked(part: IO[bytes], packing: str) -> IO[bytes]:
    if packing == ".xz":
        import lzma

        return cast("IO[bytes]", lzma.LZMAFile(part))
    if packing == ".gz":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=part))
    if packing == ".zst":
        # Since Python 3.14; ImportError before.
        return cast("IO[bytes]", importlib.import_module("compression.zstd").ZstdFile(part))
    if packing:
        raise ValueError("packed in an unknown way: " + packing)
    return part


def _sums(deb: IO[bytes], members: List[Tuple[str, int, int]], budget: Budget) -> Optional[bytes]:
    """The package's own list of MD5 sums; None when it has none."""
    import tarfile

    with tarfile.open(fileobj=_stream(deb, members, "control", budget), mode="r|") as control:
        for member in control:
            if member.name.lstrip("./") == "md5sums" and member.isreg():
                file = control.extractfile(member)
                return file.read() if file is not None else None
    return None


class _Who:
    """Whom dpkg gives a file to: whom the archive names, where the machine has him; else who has the number."""

    def __init__(self, names: Names) -> None:
        self._users = frozenset(map(printable, names.users.values()))
        self._groups = frozenset(map(printable, names.groups.values()))

    def user(self, name: str, number: int) -> str:
        return name if name in self._users else "#%d" % number

    def group(self, name: str, number: int) -> str:
        return name if name in self._groups else "#%d" % number


def _paths(deb: IO[bytes], members: List[Tuple[str, int, int]], who: _Who, budget: Budget) -> Paths:
    import tarfile  # python3-minimal may lack what it wants

    found: Paths = {}
    with tarfile.open(fileobj=_stream(deb, members, "data", budget), mode="r|", encoding="utf-8", errors="surrogateescape") as data:
        for member in data:
            path = b"/" + os.fsencode(member.name).lstrip(b".").strip(b"/")
            user, group = who.user(member.uname, member.uid), who.group(member.gname, member.gid)
            found[path] = Shipped(KINDS[_kind(member)], member.mode & 0o7777, user, group)
    return found


def _kind(member: object) -> int:
    kinds = (("isdir", st.S_IFDIR), ("issym", st.S_IFLNK), ("ischr", st.S_IFCHR), ("isblk", st.S_IFBLK), ("isfifo", st.S_IFIFO))
    return next((kind for asked, kind in kinds if getattr(member, asked)()), st.S_IFREG)
