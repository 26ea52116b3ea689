"""What a regular file holds: its digests, read once, and where its holes are."""

import errno
import hashlib
import os
from typing import Dict, List, Optional, Sequence, Tuple

from scanner.agent import secrets

CHUNK = 1 << 20
HEAD = 32 << 10
"""How much of a file is kept to look for secrets in."""


Verdict = Tuple[str, str, Optional[str], Dict[str, str]]
"""State, reason code, owning package, what its package expects where the path differs."""


class Content:
    """The digests of one file, and the status it had when they were taken."""

    __slots__ = ("changing", "extents", "head", "others", "sha256", "stat")

    def __init__(self, digests: "Digests", stat: os.stat_result, changing: bool) -> None:
        self.sha256, self.others, self.head = digests
        self.stat = stat
        self.changing = changing
        self.extents: Optional[List[List[int]]] = None

    def digest(self, algorithm: str) -> Optional[str]:
        """In hexadecimal digits; None when it was not taken."""
        return self.sha256 if algorithm == "sha256" else self.others.get(algorithm)

    def told(self, verdict: Verdict) -> Optional[bytes]:
        """The whole line of the file table, if an earlier scan told it of the same file with the same verdict; None otherwise."""
        return None

    def secret(self, path: bytes) -> Optional[str]:
        """The kind of secret that it is, at `path`; None when it is none."""
        return secrets.kind_of(path, self.head)


Digests = Tuple[str, Dict[str, str], bytes]
"""SHA-256, the others that were asked for by hashlib's name, and the first bytes of the file."""


def examine(fd: int, before: os.stat_result, others: Sequence[str]) -> Content:
    """Read the file behind `fd`, whose status is `before`, to its end, and close it. A file that changes meanwhile is read once more; see
    `changing`.

    Raises OSError when it cannot be read.
    """
    try:
        for _ in range(2):
            digests = _digests(fd, before.st_size, others)
            after = os.fstat(fd)
            content = Content(digests, after, _moment(before) != _moment(after))
            if not content.changing:
                break
            before = after
            os.lseek(fd, 0, os.SEEK_SET)
        content.extents = extents(fd, content.stat)
        return content
    finally:
        os.close(fd)


def _moment(stat: os.stat_result) -> Tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _digests(fd: int, size: int, others: Sequence[str]) -> Digests:
    sha256 = hashlib.sha256()
    more = [getattr(hashlib, name)() for name in others]
    step = min(size + 1, CHUNK)
    head, total = b"", 0
    while True:
        chunk = os.read(fd, step)
        total += len(chunk)
        head = head or chunk[:HEAD]
        sha256.update(chunk)
        for one in more:
            one.update(chunk)
        # The end, without one more read to be told so where the size is known.
        if not chunk or (len(chunk) < step and total == size):
            return sha256.hexdigest(), {one.name: one.hexdigest() for one in more}, head
        step = CHUNK


def extents(fd: int, stat: os.stat_result) -> Optional[List[List[int]]]:
    """`[offset, length]` of each data extent by SEEK_DATA and SEEK_HOLE (lseek(2)); None for a file without holes."""
    size = stat.st_size
    if stat.st_blocks * 512 >= size:
        return None
    found: List[List[int]] = []
    try:
        end = 0
        while end < size:
            start = _data(fd, end)
            if start is None or start >= size:
                break
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            found.append([start, end - start])
    except OSError:
        return None
    return None if found == [[0, size]] else found


def _data(fd: int, offset: int) -> Optional[int]:
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
