"""Where the data of a file are, by the kernel's own word. One function that needs nothing but `os`: it is run inside machines, too."""

from __future__ import annotations

import os


def data_ranges(path: str | os.PathLike[str]) -> list[tuple[int, int]]:
    """Start and end of each range that is no hole (lseek(2), SEEK_DATA and SEEK_HOLE); [] for nothing but a hole."""
    found, end = [], 0
    with open(path, "rb") as file:  # noqa: PTH123 - without pathlib, which it would have to import inside
        size = os.fstat(file.fileno()).st_size
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            found.append((start, end))
    return found
