"""Flags of inodes as lsattr(1) shows them: immutable, append-only and the others that an administrator sets (ioctl_iflags(2))."""

import fcntl
import os
import struct
from typing import Set

LETTERS = (
    ("s", 0x1),
    ("u", 0x2),
    ("S", 0x8),
    ("D", 0x10000),
    ("i", 0x10),
    ("a", 0x20),
    ("d", 0x40),
    ("A", 0x80),
    ("c", 0x4),
    ("j", 0x4000),
    ("t", 0x8000),
    ("T", 0x20000),
    ("C", 0x800000),
)
"""In lsattr's order. Flags by which a file system tells of itself (extents, indexed folders) are not an administrator's."""
MASK = sum(bit for _, bit in LETTERS)
SIZE = struct.calcsize("l")
_READ = 1 if os.uname().machine.startswith(("ppc", "mips", "sparc", "alpha")) else 2
GET = (_READ << 30) | (SIZE << 16) | (ord("f") << 8) | 1
"""FS_IOC_GETFLAGS, `_IOR('f', 1, long)`: the number has the size of a long in it."""
SET = ((4 if _READ == 1 else 1) << 30) | (SIZE << 16) | (ord("f") << 8) | 2
"""FS_IOC_SETFLAGS, `_IOW('f', 2, long)`; scans only read."""


class Flags:
    """Asks for flags, and remembers on which devices that is not known."""

    def __init__(self) -> None:
        self._without: Set[int] = set()

    def of(self, fd: int, device: int) -> str:
        """Letters of the flags that are set on an open file or folder; empty where its file system has none."""
        if device in self._without:
            return ""
        try:
            (value,) = struct.unpack("l", fcntl.ioctl(fd, GET, b"\0" * SIZE))
        except OSError:
            self._without.add(device)
            return ""
        return "".join(letter for letter, bit in LETTERS if value & bit) if value & MASK else ""
