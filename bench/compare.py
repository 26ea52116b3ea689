"""Comparing two scans of 100,000 files each, of which one in a hundred is different."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from bench.support import make_report, stopwatch, tell
from scanner.comparison import Comparison
from scanner.report import Report

FILES = 100_000


class Nowhere(io.RawIOBase):
    """Takes everything, keeps nothing."""

    def write(self, data: object, /) -> int:
        return len(data)  # type: ignore[arg-type]


def main() -> None:
    """The best of three, differences told included."""
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        reports = [Report(make_report(Path(place) / name, FILES, changed)) for name, changed in (("one", 0), ("other", 100))]
        times = []
        for _ in range(3):
            with stopwatch() as comparing:
                comparison = Comparison(reports, [1, 2])
                comparison.write(Nowhere())  # type: ignore[arg-type]
            times.append(comparing())
        tell(f"compare: 2 x {FILES} files, {comparison.counts['files']}")
        tell(f"  best of three                {min(times):6.2f} s   (goal 1.00)")


if __name__ == "__main__":
    main()
