"""A disk of this machine that is full, told as what it is."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.errors import DiskFull

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room(file: Path) -> Iterator[None]:
    """What writes `file` (and `file` with `.partial` at its end): neither stays when the disk is full. Raises `DiskFull`."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        for one in (file, file.with_name(f"{file.name}.partial")):
            one.unlink(missing_ok=True)
        raise DiskFull(f"the disk of this machine that holds {file.parent} is full", hint="make space there (forgelet image delete), then the same again") from error
