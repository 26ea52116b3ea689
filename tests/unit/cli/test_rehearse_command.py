"""`forgelet scan rehearse`: what is shown, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .test_scan_commands import BELOW, LIST

CONDITION = {"code": "interface-names", "weight": "condition", "what": "the network is translated", "evidence": ["eth0 in /x"], "next": "keep it", "place": ""}
BLOCK = {"code": "no-kernel", "weight": "blocks", "what": "no kernel", "evidence": [], "next": "", "place": ""}
MIRROR = {"code": "mirror-unreachable", "weight": "blocks", "what": "down", "evidence": [], "next": "start it", "place": ""}


def rehearsal(verdict: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {
        "builder": 0,
        "type": "openstack",
        "verdict": verdict,
        "points": list(points),
        "packages": {"archive": 7, "repack": 1},
        "additions": [{"item": "udev", "reason": "devices"}, {"item": "a", "reason": "needed"}, {"item": "b", "reason": "needed"}],
        "disk": {"asked": 2000, "used": 700, "least": 1000},
        "image_builder": {"elements": ["e"], "arguments": ["-n", "e"], "environment": {"ARCH": "amd64"}, "files": {}},
        "proven": True,
    }


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "b.yml").write_text("builders: []")
    return tmp_path / "b.yml"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([rehearsal("ready")], 0),
        ([rehearsal("ready with conditions", CONDITION)], 0),
        ([rehearsal("ready"), rehearsal("blocked", BLOCK, CONDITION)], 1),
        ([rehearsal("blocked", MIRROR)], 3),
        ([rehearsal("blocked", MIRROR, BLOCK)], 1),
    ],
)
def test_the_exit_code_says_whether_all_can_be_built(fake: Any, forgelet: Any, spec: Path, found: list[dict[str, Any]], code: int) -> None:
    answer = {"rehearsals": {"rehearsal": found}}
    fake.mine("GET", "scannedinstances", LIST)
    fake.mine("POST", f"{BELOW}/rehearsals", answer)
    result = forgelet("scan", "rehearse", "--id", "149", "--file", str(spec), "-o", "json")
    assert result.code == code
    assert json.loads(result.out) == answer
    assert fake.asked[-1][1] == {"fileName": "b.yml", "text": "builders: []"}


def test_people_see_points_evidence_next_steps_and_what_would_be_added(fake: Any, forgelet: Any, spec: Path) -> None:
    fake.mine("GET", "scannedinstances", LIST)
    fake.mine("POST", f"{BELOW}/rehearsals", {"rehearsals": {"rehearsal": [rehearsal("ready with conditions", CONDITION)]}})
    lines = forgelet("scan", "rehearse", "--id", "149", "--file", str(spec)).out.splitlines()
    assert lines[0] == "Rehearsing 'openstack' image (1/1)"
    assert "| condition | interface-names | the network is translated |" in lines
    for line in (
        "  interface-names: eth0 in /x",
        "  interface-names, next: keep it",
        "  packages: 7 archive, 1 repack",
        "  disk: 700 MiB would be used of 2000; 1000 would do",
        "  would be added: udev (devices)",
        "  would be added: a, b (needed)",
        "  diskimage-builder: disk-image-create -n e",
    ):
        assert line in lines
    assert lines[-1] == "OK: ready with conditions"
