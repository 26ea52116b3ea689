"""No space left: whose disk is full, this machine's or the image's, and what to do about it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builders.errors import BuildFailed, DiskFull
from scanner.errors import CommandFailed

LOW = 32 * 2**20
"""Bytes below which this machine's disk is the one that is full."""
_SAID = ("No space left on device", "Disk quota exceeded")
_BELOW = ("Input/output error",)
"""What a file system on a loop device says when the disk below it is full: it never hears why."""


@contextmanager
def told_when_full(work: Path) -> Iterator[None]:
    """What fails in the block for want of space becomes `DiskFull`; `work` is the folder that the block works in."""
    try:
        yield
    except DiskFull:
        raise
    except (CommandFailed, BuildFailed, OSError) as error:
        said = getattr(error, "stderr", "") or str(error)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = _SAID[0]
        if full := why_full(work, said):
            raise full from error
        raise


def why_full(work: Path, said: str) -> DiskFull | None:
    """The error, when what a tool said is about space."""
    host = _free(work) < LOW
    if host and any(words in said for words in (*_SAID, *_BELOW)):
        return DiskFull(
            f"the disk of this machine is full: {_free(work) >> 20} MiB are left below {work.parent}",
            hint="make room there (forgelet cache prune --size MIB removes what builds keep for one another), then build again",
        )
    if any(words in said for words in _SAID):
        return DiskFull("the file system of the image is full: its contents do not fit", hint="set a larger diskSize; forgelet scan rehearse computes what would do")
    return None


def _free(folder: Path) -> int:
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize
