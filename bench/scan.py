"""First scan of a tree of 100,000 files, states and metadata included, against hashing it with find and sha256sum."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from bench.support import make_tree, root_only, stopwatch, tell
from scanner.progress import Silent
from scanner.scan import scan
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
        ours, theirs = [], []
        for number in range(ROUNDS):
            with stopwatch() as hashing:
                subprocess.run(["sh", "-c", HASHING], cwd=root, check=True)
            with stopwatch() as scanning:
                scan(open_target(f"directory:{root}"), Path(place) / f"scan{number}", Silent())
            theirs.append(hashing())
            ours.append(scanning())
        tell(f"  find | xargs -P2 sha256sum   {min(theirs):6.2f} s")
        tell(f"  first scan                   {min(ours):6.2f} s   ratio {min(ours) / min(theirs):.2f} (goal 1.30)")


if __name__ == "__main__":
    main()
