"""Secrets of a request: they reach the job, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.jobs.inprocess import InProcessQueue

SCANS = "/api/users/root/scannedinstances"
PLACE = "ssh:me@host:2222"
ACCESS = {"password": "hush-hush", "identity": "hush-key", "sudoPassword": "hush-sudo", "jump": "me@door"}


def _scan(drive: Any, **body: Any) -> Any:
    return drive.http.post(SCANS, json={"name": "web", "target": PLACE, "access": ACCESS, **body})


def test_a_secret_reaches_the_job_and_is_in_no_file_of_the_service(drive: Any, tasks: Any) -> None:
    answer = _scan(drive)
    assert drive.service.queue.wait(answer.json()["jobId"], 10)
    assert json.loads(tasks.secrets[0]) == ACCESS
    told = drive.http.get(f"/_forgelet/jobs/{answer.json()['jobId']}").text
    files = [path.read_bytes() for path in drive.service.folders.data.rglob("*") if path.is_file()]
    assert len(files) > 3
    for text in (answer.content, told.encode(), *files):
        assert b"hush" not in text


def test_a_scan_without_secrets_is_entrusted_with_nothing(drive: Any, tasks: Any) -> None:
    drive.scan()
    assert tasks.secrets == [""]


def test_a_request_that_is_refused_does_not_repeat_its_secrets(drive: Any) -> None:
    for wrong in ({"password": ["hush-1"]}, {"password": "hush-2" * 1000}, {"pasword": "hush-3"}):
        answer = _scan(drive, access=wrong)
        drive.error(answer, 400)
        assert "hush" not in answer.text


@pytest.mark.parametrize("folder", ["tmp", "/tmp\n/x", ""])
def test_a_folder_that_cannot_be_one_is_refused(drive: Any, folder: str) -> None:
    assert "access.dir" in drive.error(_scan(drive, access={"dir": folder}), 400)["problems"][0]


def _two_hold_the_place(drive: Any, tasks: Any) -> list[int]:
    tasks.gate.clear()
    return [_scan(drive, name=name).json()["jobId"] for name in ("one", "two")]


def test_a_cancelled_job_takes_its_secret_with_it(drive: Any, tasks: Any) -> None:
    _two_hold_the_place(drive, tasks)
    waiting = _scan(drive, name="three").json()["jobId"]
    assert list(drive.service.queue._secrets) == [waiting]
    drive.service.queue.cancel(waiting)
    assert drive.service.queue._secrets == {}


def test_after_a_restart_a_queued_job_says_that_its_secret_is_gone(drive: Any, tasks: Any) -> None:
    running = _two_hold_the_place(drive, tasks)
    waiting = _scan(drive, name="three").json()["jobId"]
    old = drive.service.queue
    old.stop(0)
    fresh = InProcessQueue(drive.service.ledger, drive.service.folders, tasks.table())
    tasks.gate.set()
    for job in running:
        assert old.wait(job, 10)
    fresh.start()
    assert fresh.wait(waiting, 10)
    job = drive.service.ledger.get(waiting)
    assert (job.state, job.error_code) == ("failed", "interrupted")
    assert "kept in memory only" in job.error
    assert job.hint == "run it again: forgelet scan run --ip host --scan-port 2222 --scan-login me --name 'three'"
    assert waiting not in tasks.order
