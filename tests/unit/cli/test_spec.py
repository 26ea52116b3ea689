"""`forgelet spec test` against the service in this process: every level, every way to fail, JUnit and Markdown."""

from __future__ import annotations

import io
import json
import tarfile
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
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


def answers(fake: Any, *, differences: tuple[dict[str, Any], ...] = (), problems: tuple[str, ...] = (), build: str = "done", blind: int = 0) -> None:
    scan = {"dbId": 2, "uri": f"users/root/{BASE}", "exitCode": blind}
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
        ({"blind": 2}, 2, ""),
        ({"blind": 2, "problems": ("failed unit: web.service",)}, 4, "failed unit: web.service"),
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
    assert [worst(codes) for codes in ([0, 1, 4], [0, 5, 3], [1, 3], [2, 0], [2, 1], [])] == [4, 5, 3, 2, 1, 0]


def test_names_that_are_not_utf8_do_not_break_the_reports() -> None:
    assert "?" in markdown([Case("a.yml", "b", 4, ["files: /odd\udcff: mode"])], Level.VERIFY)


@pytest.fixture
def reports(tmp_path: Path) -> tuple[list[str], Any]:
    """Options for both reports, and what reads them: failures, errors, and all of the words."""

    def read() -> tuple[str | None, str | None, str]:
        suite = ET.parse(tmp_path / "j.xml").getroot()
        return suite.get("failures"), suite.get("errors"), "".join(suite.itertext()) + (tmp_path / "s.md").read_text()

    return ["--junit", str(tmp_path / "j.xml"), "--summary", str(tmp_path / "s.md")], read


def test_the_reports_are_written_when_a_file_cannot_be_read(forgelet: Any, specs: dict[str, str], reports: Any, tmp_path: Path) -> None:
    done = forgelet("spec", "test", specs["good.yml"], str(tmp_path / "none.yml"), "--level", "syntax", *reports[0])
    assert done.code == 1
    failures, errors, words = reports[1]()
    assert (failures, errors) == ("1", "0")
    assert "none.yml" in words and "2 of 3 well" in words


def test_the_reports_are_written_when_the_scan_fails_and_it_is_taken_away(forgelet: Any, fake: Any, specs: dict[str, str], reports: Any) -> None:
    fake.mine("POST", "scannedinstances", (201, {"dbId": 2, "jobId": 4, "uri": f"users/root/{BASE}", "scannedInstanceUri": "users/root/scannedinstances/1"}))
    fake.job(4, "failed", error="the container is gone", exitCode=3, dbId=4)
    fake.mine("DELETE", "scannedinstances/1", (204, ""))
    done = forgelet("spec", "test", specs["good.yml"], "--against", "docker:web", *reports[0])
    assert done.code == 3 and "the container is gone" in done.err
    failures, errors, words = reports[1]()
    assert (failures, errors) == ("0", "2")
    assert "the container is gone" in words
    assert fake.asked[-1][0].startswith("DELETE")


def test_the_reports_are_written_when_no_service_answers(forgelet: Any, fake: Any, specs: dict[str, str], reports: Any) -> None:
    fake.mine("GET", "scannedinstances", httpx.ConnectError("refused"))
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", *reports[0])
    assert done.code == 3
    assert reports[1]()[:2] == ("0", "2")


def test_what_nobody_expected_in_one_case_ends_that_one_only(forgelet: Any, fake: Any, specs: dict[str, str], reports: Any) -> None:
    answers(fake)
    fake.mine("POST", f"{BASE}/rehearsals", [{"rehearsals": {}}, points()])
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-j", "1", *reports[0])
    assert done.code == 5
    failures, errors, words = reports[1]()
    assert (failures, errors) == ("0", "1")
    assert "an internal fault (KeyError" in words and "1 of 2 well" in words


def test_an_image_that_stays_is_told_and_changes_nothing(forgelet: Any, fake: Any, specs: dict[str, str]) -> None:
    answers(fake)
    fake.mine("DELETE", "images/7", (409, fake.error("it is in use", 1)))
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-o", "json")
    assert done.code == 0
    assert json.loads(done.out)["cases"][0]["why"] == ["image 7 is left: it is in use"]


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_against_a_recorded_report(forgelet: Any, fake: Any, specs: dict[str, str], tmp_path: Path, archived: bool, keep: bool) -> None:
    answers(fake)
    (tmp_path / "report").mkdir()
    (tmp_path / "report/head.json").write_text("{}")
    given = tmp_path / "report"
    if archived:
        given = tmp_path / "report.tar.gz"
        with tarfile.open(given, "w:gz") as tar:
            tar.add(tmp_path / "report", arcname="report")
    got: list[list[str]] = []

    def take(request: httpx.Request) -> Any:
        with tarfile.open(fileobj=io.BytesIO(request.read())) as tar:
            got.append([member for member in tar.getnames() if member.endswith("head.json")])
        return 201, {"dbId": 2, "uri": f"users/root/{BASE}", "scannedInstanceUri": "users/root/scannedinstances/1"}

    fake.answers["POST /_forgelet/reports"] = take
    fake.mine("GET", BASE, {"dbId": 2, "uri": f"users/root/{BASE}", "exitCode": 0})
    fake.mine("DELETE", "scannedinstances/1", (204, ""))
    done = forgelet("spec", "test", specs["good.yml"], "--against", str(given), *(["--keep"] if keep else []))
    assert done.code == 0, done.err
    assert len(got[0]) == 1
    assert ("DELETE /api/users/root/scannedinstances/1" in [key for key, _ in fake.asked]) is not keep


def test_a_report_that_is_not_there_is_a_mistake(forgelet: Any, specs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no report in" in forgelet("spec", "test", specs["good.yml"], "--against", str(tmp_path / "empty")).err
    assert "there is no report nowhere" in forgelet("spec", "test", specs["good.yml"], "--against", "nowhere").err


def test_cases_run_at_once(forgelet: Any, fake: Any, specs: dict[str, str]) -> None:
    answers(fake)
    both = threading.Barrier(2, timeout=20)

    def build(_request: httpx.Request) -> Any:
        both.wait()
        return 201, {"images": {"image": [{"dbId": 7, "jobId": 8}]}}

    fake.mine("POST", f"{BASE}/builds", build)
    done = forgelet("spec", "test", specs["good.yml"], "--against", "2", "-j", "2")
    assert done.code == 0, done.out
