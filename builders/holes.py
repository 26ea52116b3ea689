"""Holes of files: which the source had, the copy has; which it had not, the copy has not."""

from __future__ import annotations

import os
from collections.abc import Sequence

from scanner.host.run import run

_BLOCK = 4096
_ZEROS = b"\0" * 2**20


def match(place: str, info: os.stat_result, extents: Sequence[Sequence[int]] | None) -> None:
    """Make the regular file `place` sparse exactly where `extents` (data ranges; None: no hole) say. Its contents stay.

    Only ranges that read as zeros are punched; the caller compares contents elsewhere. Raises OSError.
    """
    if extents is not None:
        _punch(place, info.st_size, extents)
    elif info.st_blocks * 512 < info.st_size:
        _fill(place, info.st_size)


def _fill(place: str, size: int) -> None:
    """Write zeros over every hole: an allocated but unwritten range would still be told as a hole."""
    with open(place, "r+b", buffering=0) as file:
        start = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
        while start < size:
            try:
                end = os.lseek(file.fileno(), start, os.SEEK_DATA)
            except OSError:
                end = size
            for offset in range(start, end, len(_ZEROS)):
                os.pwrite(file.fileno(), _ZEROS[: end - offset], offset)
            start = os.lseek(file.fileno(), end, os.SEEK_HOLE) if end < size else size


def _punch(place: str, size: int, extents: Sequence[Sequence[int]]) -> None:
    for start, end in gaps(size, extents):
        with open(place, "rb") as file:
            file.seek(start)
            zero = not any(any(file.read(min(len(_ZEROS), end - offset))) for offset in range(start, end, len(_ZEROS)))
        if zero:
            run(["fallocate", "--punch-hole", "--offset", str(start), "--length", str(end - start), place])


def gaps(size: int, extents: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Start and end of what lies between the data ranges."""
    edges = [0, *(edge for offset, length in extents for edge in (offset, offset + length)), size]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
