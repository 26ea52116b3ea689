"""First scan of a tree of 100,000 files, states and metadata included, against hashing it with find and sha256sum; and a second scan
of the same tree, one file in a thousand changed, against the first."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import time
from pathlib import Path

from bench.support import make_tree, root_only, stopwatch, tell
from scanner.agent.known import SETTLED
from scanner.progress import Silent
from scanner.scan import KNOWN, scan
from scanner.targets import open_target

FILES = 100_000
ROUNDS = 3
HASHING = "find . -xdev -type f -print0 | xargs -0 -P2 sha256sum > /dev/null"


def main() -> None:
    """Both are run by turns, on a warm cache; the best of each counts."""
    root_only()
    with tempfile.TemporaryDirectory(prefix="forgelet-bench-") as place:
        root = Path(place) / "tree"
        total = make_tree(root, FILES)
        tell(f"scan: {FILES} files, {total / 2**20:.0f} MiB")
        time.sleep(SETTLED + 1)
        ours, theirs, seconds = [], [], []
        for number in range(ROUNDS):
            with stopwatch() as hashing:
                subprocess.run(["sh", "-c", HASHING], cwd=root, check=True)
            with stopwatch() as scanning:
                scan(open_target(f"directory:{root}"), Path(place) / f"scan{number}", Silent())
            _change(root, number)
            with stopwatch() as again:
                scan(open_target(f"directory:{root}"), Path(place) / f"again{number}", Silent(), known=Path(place) / f"scan{number}" / KNOWN)
            theirs.append(hashing())
            ours.append(scanning())
            seconds.append(again())
        tell(f"  find | xargs -P2 sha256sum   {min(theirs):6.2f} s")
        tell(f"  first scan                   {min(ours):6.2f} s   ratio {min(ours) / min(theirs):.2f} (goal 1.30)")
        tell(f"  second scan                  {min(seconds):6.2f} s   ratio {min(seconds) / min(ours):.2f} of the first (goal 0.50)")


def _change(root: Path, number: int) -> None:
    for path in itertools.islice(sorted(root.rglob("f*")), number, None, 1000):
        if path.is_file():
            path.write_bytes(b"changed %d" % number)


if __name__ == "__main__":
    main()
