"""The moment that everything made by a build claims to be of, so that two builds of the same input give the same tree.

`SOURCE_DATE_EPOCH` (seconds since 1970, reproducible-builds.org's variable) sets it; else it is always the same. It never replaces the time
of what the source or a package brought: only times of the build itself become it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SETTING = "SOURCE_DATE_EPOCH"
DEFAULT = 1735689600
"""1 January 2025: later than the releases' own files, and no moment of any build."""


def source_date() -> int:
    """Seconds since 1970."""
    said = os.environ.get(SETTING, "")
    return int(said) if said.isdigit() else DEFAULT


def clamp(root: Path, paths: Iterable[str], since: int, epoch: int) -> int:
    """Give `epoch` (seconds) to every one of the paths below `root` whose time is `since` (nanoseconds) or later; answers how many."""
    count = 0
    for path in paths:
        place = os.fsencode(f"{root}{path}")
        if os.lstat(place).st_mtime_ns >= since:
            os.utime(place, ns=(epoch * 10**9, epoch * 10**9), follow_symlinks=False)
            count += 1
    return count
