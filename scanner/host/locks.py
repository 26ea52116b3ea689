"""Locks between processes, by a file: the kernel gives one back when whoever holds it is gone, however it went. Source: flock(2)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, *, shared: bool = False) -> Iterator[None]:
    """The lock `path`, waited for, while the block lasts. With `shared` others may hold it so too."""
    handle = _taken(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Whether nobody else had the lock; if so it is held while the block lasts."""
    try:
        handle = _taken(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(handle)


def _taken(path: Path, how: int) -> int:
    """A descriptor that holds the lock. Raises BlockingIOError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
            # Whoever held it may have removed the file: then this lock is nobody's business any more.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
