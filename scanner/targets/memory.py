"""What an earlier scan left behind (`scan.KNOWN`), made readable for an agent, which has nothing but the standard library."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard


@contextmanager
def plain(known: Path | None) -> Iterator[Path | None]:
    """As a file of lines, for an agent on this machine. None when there is none, or it is damaged: it saves time and is nothing else."""
    with _beside(known, gzipped=False) as path:
        yield path


@contextmanager
def packed(known: Path | None) -> Iterator[Path | None]:
    """As gzip, for an agent elsewhere; see `plain`."""
    with _beside(known, gzipped=True) as path:
        yield path


@contextmanager
def _beside(known: Path | None, *, gzipped: bool) -> Iterator[Path | None]:
    if known is None:
        yield None
        return
    # Beside it: what is in the folder of a job goes with the job, whatever ends that.
    path = known.with_name(f".{known.name}.lines")
    try:
        yield path if _written(known, path, gzipped=gzipped) else None
    finally:
        path.unlink(missing_ok=True)


def _written(known: Path, path: Path, *, gzipped: bool) -> bool:
    try:
        with known.open("rb") as source, (gzip.open(path, "wb", 1) if gzipped else path.open("wb")) as out:
            zstandard.ZstdDecompressor().copy_stream(source, cast("IO[bytes]", out))
    except (OSError, zstandard.ZstdError):
        return False
    return True
