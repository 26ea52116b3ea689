"""A folder for what a target must mount or unpack while it is read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scanner.host.run import run


@contextmanager
def scratch(work: Path | None) -> Iterator[Path]:
    """A new folder below `work` (which whoever gave it sweeps), or below the system's own for temporary files; removed with all in it.

    Whatever is mounted there must be unmounted by then; what is not, is left alone.
    """
    if work:
        work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="target-", dir=work))
    try:
        yield folder
    finally:
        run(["rm", "-rf", "--one-file-system", "--", str(folder)], root=True)
