"""`forgelet spec test` against the service in this process: every level, every way to fail, JUnit and Markdown."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from cli.commands.spec import Case, Level, markdown, worst

GOOD = "builders:\n- {type: openstack, hardwareSettings: {memory: 1024}, installation: {diskSize: 2000}}\n- {type: raw virtual disk, hardwareSettings: {memory: 64}, installation: {diskSize: 3000}}\n"
BAD = "builders:\n- {type: nimbus, hardwareSettings: {memory: 1024}, installation: {diskSize: x}}\n"
BASE = "scannedinstances/1/scans/2"


def points(*blocks: str) -> dict[str, Any]:
    found = [{"code": code, "what": f"{code} it is", "weight": "blocks", "evidence": [], "next": ""} for code in blocks]
    return {"rehearsals": {"rehearsal": [{"points": found}]}}


@pytest.fixture
def specs(tmp_path: Path) -> dict[str, str]:
    for name, text in (("good.yml", GOOD), ("bad.yml", BAD)):
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in ("good.yml", "bad.yml")}


def answers(fake: Any, *, differences: tuple[dict[str, Any], ...] = (), problems: tuple[str, ...] = (), build: str = "done") -> None:
    scan = {"dbId": 2, "uri": f"users/root/{BASE}"}
    fake.mine("GET", "scannedinstances", {"scannedInstances": {"scannedInstance": [{"scans": {"scan": [scan]}}]}})
    fake.mine("POST", f"{BASE}/rehearsals", points())
    fake.mine("POST", f"{BASE}/builds", (201, {"images": {"image": [{"dbId": 7, "jobId": 8}]}}))
    fake.job(8, build, exitCode=5 if build == "failed" else 0, error="no space" if build == "failed" else "")
    fake.mine("POST", "images/7/verifications", (201, {"dbId": 9}))
    fake.job(9, "done", exitCode=0)
    fake.mine("GET", "images/7/verifications/last", {"runtime": {"problems": list(problems)}, "differences": list(differences), "probes": []})
    fake.mine("DELETE", "images/7", (204, ""))


def test_syntax_needs_no_service(forgelet: Any, fake: Any, specs: dict[str, str], tmp_path: Path) -> None:
    done = forgelet("spec", "test", specs["good.yml"], specs["bad.yml"], "--level", "syntax", "--junit", str(tmp_path / "j.xml"), "--summary", str(tmp_path / "s.md"))
    assert done.code == 1 and fake.asked == []
    suite = ET.parse(tmp_path / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")
    text = suite.findtext("testcase/failure") or ""
    assert "unknown type 'nimbus'" in text and "diskSize: must be a whole number" in text
    assert "2 of 3 well" in (tmp_path / "s.md").read_text()


def test_every_level_is_gone_through(forgelet: Any, fake: Any, specs: dict[str, str]) -> None:
    answers(fake)
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-o", "json", "-j", "1")
    assert done.code == 0, done.err
    cases = json.loads(done.out)["cases"]
    assert [case["builder"] for case in cases] == ["builders[0] openstack", "builders[1] raw virtual disk"]
    assert all(list(case["stages"]) == ["syntax", "rehearse", "build", "boot", "verify"] for case in cases)
    built = [body["text"] for key, body in fake.asked if key.endswith("/builds")]
    assert ["openstack" in text for text in built] == [True, False], "each builder is built by itself"
    assert sum(key.startswith("DELETE") for key, _ in fake.asked) == 2, "what was built is taken away"


@pytest.mark.parametrize(
    ("given", "code", "why"),
    [
        ({"differences": ({"rule": None, "scope": "files", "item": "/etc/motd", "what": "mode"},)}, 4, "files: /etc/motd: mode"),
        ({"differences": ({"rule": "boot", "scope": "files", "item": "/boot/x", "what": "only in copy"},)}, 0, ""),
        ({"problems": ("failed unit: web.service",)}, 4, "failed unit: web.service"),
        ({"build": "failed"}, 5, "no space"),
    ],
    ids=str,
)
def test_it_ends_with_what_was_found(forgelet: Any, fake: Any, specs: dict[str, str], given: dict[str, Any], code: int, why: str) -> None:
    answers(fake, **given)
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-o", "json")
    assert done.code == code
    assert why in " ".join(json.loads(done.out)["cases"][0]["why"])


def test_a_blocked_one_is_not_built(forgelet: Any, fake: Any, specs: dict[str, str]) -> None:
    answers(fake)
    fake.mine("POST", f"{BASE}/rehearsals", points("disk-too-small"))
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-o", "json")
    assert done.code == 1
    assert json.loads(done.out)["cases"][0]["why"] == ["disk-too-small: disk-too-small it is"]
    assert not any(key.endswith("/builds") for key, _ in fake.asked)


def test_against_nothing_is_a_mistake(forgelet: Any, specs: dict[str, str]) -> None:
    done = forgelet("spec", "test", specs["good.yml"])
    assert done.code == 1 and "against what?" in done.err


def test_the_gravest_counts() -> None:
    assert [worst(codes) for codes in ([0, 1, 4], [0, 5, 3], [1, 3], [])] == [4, 5, 3, 0]


def test_names_that_are_not_utf8_do_not_break_the_reports() -> None:
    assert "?" in markdown([Case("a.yml", "b", 4, ["files: /odd\udcff: mode"])], Level.VERIFY)
