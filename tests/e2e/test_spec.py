"""Builder files verified as CI does it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from support.bench import EXAMPLE, Bench

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.dib]


def test_files_are_built_against_a_scan_and_against_a_running_system(bench: Bench, scan: int, image: int, live_system: str, tmp_path: Path) -> None:
    """With the base disk that `image` left in the cache."""
    small = tmp_path / "small.yml"
    small.write_text(EXAMPLE.read_text().replace("diskSize: 2000", "diskSize: 300"))
    report = tmp_path / "junit.xml"
    before = {one["dbId"] for one in bench.json("image", "list")["images"]["image"]}
    bench.cli("spec", "test", str(EXAMPLE), str(small), "--against", str(scan), "--level", "build", "--junit", str(report), code=1)
    suite = ET.parse(report).getroot()
    assert [(one.get("classname"), len(one)) for one in suite] == [(str(EXAMPLE), 1), (str(small), 2)]
    assert "disk-too-small" in (suite[1].findtext("failure") or "")
    assert {one["dbId"] for one in bench.json("image", "list")["images"]["image"]} == before
    told = bench.json("spec", "test", str(EXAMPLE), "--against", f"docker:{live_system}", "--level", "rehearse")
    assert [case["exitCode"] for case in told["cases"]] == [0]
