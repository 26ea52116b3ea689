"""A report with a million entries, written, read and compared: the most memory that each of these takes, in a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from bench.compare import Nowhere
from bench.support import in_own_process, make_report, peak_mib, stopwatch, tell
from scanner.comparison import Comparison
from scanner.report import Report

ENTRIES = 1_000_000
GOAL = 200


def perform(deed: str, one: Path, other: Path) -> None:
    """One deed, in this process."""
    if deed == "write":
        make_report(one, ENTRIES)
    elif deed == "write-other":
        make_report(other, ENTRIES, 100)
    elif deed == "read":
        assert sum(1 for _ in Report(one).files()) == ENTRIES
    elif deed == "compare":
        Comparison([Report(one), Report(other)], [1, 2]).write(Nowhere())  # type: ignore[arg-type]


def main() -> None:
    """`nothing` is what Python and the libraries take by themselves."""
    tell(f"memory: {ENTRIES} entries")
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        for deed in ("nothing", "write", "write-other", "read", "compare"):
            found = in_own_process("bench.memory", deed, f"{place}/one", f"{place}/other")
            tell(f"  {deed:<28} {found['seconds']:6.2f} s   {found['mib']:5.0f} MiB (goal {GOAL})")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with stopwatch() as performing:
            perform(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
        print(json.dumps({"seconds": performing(), "mib": peak_mib()}))
    else:
        main()
