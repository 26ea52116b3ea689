"""Time that is set and numbers that are seeded, over HTTP."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scanner.host import chance, clock

CLOCK, IDS = "/_forgelet/clock", "/_forgelet/ids"


@pytest.fixture(autouse=True)
def as_it_was() -> Any:
    yield
    clock.put(None)
    chance.seed(None)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_what_is_made_has_the_time_that_is_set(drive: Any) -> None:
    told = drive.http.put(CLOCK, json={"at": "2030-05-01T12:00:00Z", "rate": 0}).json()
    assert (told["now"], told["rate"], told["set"]) == ("2030-05-01T12:00:00.000Z", 0, True)
    scan = drive.scan()
    assert scan["created"] == "2030-05-01T12:00:00.000Z"
    assert drive.http.get(f"/_forgelet/jobs/{scan['jobId']}").json()["ended"] == "2030-05-01T12:00:00.000Z"
    assert drive.http.post(f"{CLOCK}/step", json={"seconds": 90}).json()["now"] == "2030-05-01T12:01:30.000Z"
    assert drive.scan("later")["created"] == "2030-05-01T12:01:30.000Z"
    assert drive.http.get("/_forgelet/journal").json()["journal"]["entry"][-1]["time"].startswith("2030-05-01")


def test_time_passes_as_fast_as_it_is_told_to(drive: Any) -> None:
    before = moment(drive.http.put(CLOCK, json={"at": "2030-05-01T12:00:00Z", "rate": 3600}).json()["now"])
    time.sleep(0.2)
    passed = moment(drive.http.get(CLOCK).json()["now"]) - before
    assert timedelta(minutes=12) <= passed < timedelta(hours=4)


def test_a_clock_that_was_only_stepped_goes_on_at_its_own_rate(drive: Any) -> None:
    told = drive.http.post(f"{CLOCK}/step", json={"seconds": 86400}).json()
    assert 86390 < (moment(told["now"]) - moment(told["real"])).total_seconds() < 86410
    assert told["rate"] == 1


def test_an_agent_that_does_not_report_is_overdue_as_soon_as_its_time_has_come(drive: Any) -> None:
    asked = {"params": {"includeScans": True, "name": "waited-for"}, "headers": {"Accept": "application/xml"}}
    listed = "/api/users/root/scannedinstances"
    drive.service.settings.listing_pause = 0
    assert drive.http.get("/resources/uforge-scan.bin").status_code == 200
    assert [b"waited-for" in drive.http.get(listed, **asked).content for _ in range(2)] == [False, False]
    drive.http.post(f"{CLOCK}/step", json={"seconds": drive.service.settings.agent_wait + 1})
    # So long after the last look the next one counts as the first again.
    assert [b"waited-for" in drive.http.get(listed, **asked).content for _ in range(2)] == [False, True]
    assert drive.http.get("/_forgelet/jobs/1").json()["code"] == "never-reported"


def test_a_reset_brings_the_machines_time_and_chance_back(drive: Any) -> None:
    drive.http.put(CLOCK, json={"at": "2030-05-01T12:00:00Z"})
    drive.http.put(IDS, json={"seed": 1})
    drive.http.post("/_forgelet/reset")
    assert drive.http.get(CLOCK).json()["set"] is False
    assert drive.http.get(IDS).json() == {"seed": None, "drawn": 0}


def test_the_same_numbers_come_after_the_same_seed(drive: Any) -> None:
    def drawn(seed: Any) -> list[str]:
        drive.http.put(IDS, json={"seed": seed})
        return [str(chance.identifier()) for _ in range(3)]

    assert drawn(42) == drawn("42") != drawn(43)
    assert drive.http.get(IDS).json() == {"seed": "43", "drawn": 3}
    assert len(set(drawn(42))) == 3
    drive.http.delete(IDS)
    assert str(chance.identifier()) != str(chance.identifier())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", CLOCK, {"rate": -1}),
        ("PUT", CLOCK, {"at": "tomorrow"}),
        ("PUT", CLOCK, {"at": "2030-05-01T12:00:00"}),
        ("PUT", CLOCK, {"at": "1900-01-01T00:00:00Z"}),
        ("PUT", CLOCK, {"at": "2030-05-01T12:00:00Z", "speed": 2}),
        ("POST", f"{CLOCK}/step", {"seconds": 0}),
        ("PUT", IDS, {}),
    ],
)
def test_what_no_clock_can_do_is_refused(drive: Any, method: str, path: str, body: Any) -> None:
    drive.error(drive.http.request(method, path, json=body), 400)
    assert drive.http.get(CLOCK).json()["set"] is False


def test_it_is_for_administrators(drive: Any) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    drive.error(drive.http.put(CLOCK, json={"rate": 2}, auth=("alice", "secret")), 403)


def test_waits_of_users_go_by_the_set_time_and_waits_for_the_machine_do_not(drive: Any) -> None:
    elapsed, machine = clock.elapsed(), clock.monotonic()
    drive.http.post(f"{CLOCK}/step", json={"seconds": 500})
    assert 500 <= clock.elapsed() - elapsed < 530
    assert clock.monotonic() - machine < 30


def test_another_process_follows_the_same_file(drive: Any, tmp_path: Path) -> None:
    import subprocess
    import sys

    drive.http.put(CLOCK, json={"at": "2030-05-01T12:00:00Z", "rate": 0})
    said = subprocess.run(
        [sys.executable, "-c", f"from pathlib import Path; from scanner.host import clock; clock.follow(Path({str(drive.service.folders.clock)!r})); print(clock.now().isoformat())"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "2030-05-01T12:00:00+00:00"
