"""features.py JUNIT...: whether every test that `docs/features.json` names as a proof ran, and passed, in the run that these files tell of.

A proof is a file (`tests/e2e/test_spec.py`: all of its tests) or one test of it (`tests/e2e/test_spec.py::test_x`: all of its cases).
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

FEATURES = Path(__file__).parents[1] / "docs/features.json"
BAD = ("failure", "error", "skipped")
Case = tuple[str, str, str]
"""Module (or class) of a test case as JUnit has it, its name with its parameters, and how it went wrong: one of `BAD`, or empty."""


def cases(junits: Iterable[Path]) -> list[Case]:
    """Every test case of the files."""
    return [
        (one.get("classname", ""), one.get("name", ""), next((bad for bad in BAD if one.find(bad) is not None), ""))
        for junit in junits
        for one in ET.parse(junit).iter("testcase")
    ]


def of(proof: str, found: Iterable[Case]) -> list[Case]:
    """The cases of a proof. pytest's xunit2 writes `tests/a/test_b.py` as `tests.a.test_b`, with a class behind another dot."""
    file, _, name = proof.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    return [one for one in found if one[0].removeprefix(module)[:1] in ("", ".") and one[0].startswith(module) and (not name or one[1].partition("[")[0] == name)]


def complaints(features: Iterable[dict[str, object]], found: list[Case]) -> list[str]:
    """What is told as proven and was not, in words."""
    wrong: list[str] = []
    for feature in features:
        listed = feature.get("tests") or []
        assert isinstance(listed, list)
        for proof in listed:
            ran = of(str(proof), found)
            wrong += [] if ran else [f"{feature['feature']}: {proof} did not run"]
            wrong += [f"{feature['feature']}: {case} of {proof}: {bad}" for _, case, bad in ran if bad]
    return wrong


def main() -> None:
    features = json.loads(FEATURES.read_text(encoding="utf-8"))
    wrong = complaints(features, cases(map(Path, sys.argv[1:])))
    if wrong:
        sys.exit("\n".join(["told as proven in docs/features.json, and not proven by this run:", *wrong]))
    print(f"of {len(features)} features, {sum(bool(one.get('tests')) for one in features)} are proven by this run (docs/features.json)")


if __name__ == "__main__":
    main()
