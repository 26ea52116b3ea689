"""judge.py JUNIT... TALLY: green tests are not enough: none was skipped, and each engine was really used."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

DEEDS = {"dib": "diskimage-builder runs", "boot": "booted virtual machines", "scan": "scanned live systems"}
"""What the subprocess door counts (scanner/host/run.py)."""


def complaints(junits: list[Path], tally: Path) -> list[str]:
    """Why the tests do not count, in words; empty when they do."""
    skipped = [
        f"skipped: {case.get('classname')}::{case.get('name')}"
        for junit in junits
        for case in ET.parse(junit).iter("testcase")
        if case.find("skipped") is not None
    ]
    done = Counter(tally.read_text().split() if tally.exists() else ())
    return skipped + [f"never happened: {words}" for deed, words in DEEDS.items() if not done[deed]]


def main() -> None:
    *junits, tally = map(Path, sys.argv[1:])
    wrong = complaints(junits, tally)
    if wrong:
        sys.exit("\n".join(["the tests passed, but:", *wrong]))
    done = Counter(tally.read_text().split())
    print("no test was skipped; " + ", ".join(f"{done[deed]} {words}" for deed, words in DEEDS.items()))


if __name__ == "__main__":
    main()
