"""Stop, resume and delete of a migration in every stage and in the gaps between them: what was stopped begins nothing and keeps nothing running."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from support.service import until

from builders.errors import CloudRefused
from emulator.jobs.kinds import ENDED
from emulator.resources.images import service as images
from emulator.resources.migrations import conductor
from scanner.errors import Cancelled

BASE = "/api/users/root/migrations"
BUILDER = {"type": "openstack", "installation": {"diskSize": 2000}, "hardwareSettings": {"memory": 1024}, "account": "local", "imageName": "moved"}
STAGES = ("scan", "rehearse", "build", "publish", "provision", "verify")
GAPS = STAGES[1:]
"""Stages that the conductor begins; the scan is begun by whoever asks for the migration."""
JOBS = tuple(stage for stage in STAGES if stage != "rehearse")


def launch(drive: Any) -> str:
    answer = drive.http.post(f"{BASE}/launches", json={"name": "web", "target": "docker:web", "builder": BUILDER, "provision": {"flavor": "small"}, "verify": True})
    assert answer.status_code == 201, answer.text
    return f"{BASE}/{answer.json()['dbId']}"


def ended(drive: Any, place: str) -> Any:
    until(lambda: drive.http.get(place).json()["state"] != "running")
    return drive.http.get(place).json()


def jobs(drive: Any) -> list[tuple[str, str]]:
    return [(job.kind, job.state) for job in drive.service.ledger.jobs()]


def quiet(drive: Any) -> list[tuple[str, str]]:
    """All jobs, once none moves and no run of a migration is left."""
    until(lambda: all(state in ENDED for _, state in jobs(drive)) and not any(one.name.startswith("migration-") for one in threading.enumerate()))
    return jobs(drive)


class Gap:
    """Holds the first run of a migration where it begins a stage; the job that it begins there waits in the queue until then."""

    def __init__(self, drive: Any, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
        self.reached, self.go, self.left = threading.Event(), threading.Event(), threading.Event()
        self._first = True
        real, submit = conductor.BEGIN[stage], drive.service.queue.submit

        def begin(*about: Any) -> Any:
            if not self._first:
                return real(*about)
            self._first = False
            self.reached.set()
            assert self.go.wait(20)
            with monkeypatch.context() as held:
                held.setattr(drive.service.queue, "submit", lambda: None)
                try:
                    return real(*about)
                finally:
                    self.left.set()

        monkeypatch.setitem(conductor.BEGIN, stage, begin)
        self._submit = submit

    def leave(self) -> None:
        """The run goes on."""
        self.go.set()
        assert self.left.wait(20)


@pytest.mark.parametrize("stage", GAPS)
@pytest.mark.parametrize("way", ["stop", "delete"])
def test_what_is_stopped_while_its_next_stage_begins_begins_nothing(drive: Any, monkeypatch: pytest.MonkeyPatch, stage: str, way: str) -> None:
    gap = Gap(drive, monkeypatch, stage)
    place = launch(drive)
    assert gap.reached.wait(20)
    answer = drive.http.post(f"{place}/stop") if way == "stop" else drive.http.delete(place)
    assert answer.status_code == 204
    gap.leave()
    left = quiet(drive)
    begun = [kind for kind, _ in left]
    assert begun == [one for one in JOBS if STAGES.index(one) <= STAGES.index(stage)]
    assert [state for kind, state in left if kind == stage] in ([], ["cancelled"])
    if way == "stop":
        told = drive.http.get(place).json()
        assert (told["state"], told["stage"]) == ("cancelled", stage)
    else:
        drive.error(drive.http.get(place), 404)


@pytest.mark.parametrize("stage", GAPS)
def test_what_is_stopped_and_resumed_while_its_next_stage_begins_goes_on_once(drive: Any, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    gap = Gap(drive, monkeypatch, stage)
    place = launch(drive)
    assert gap.reached.wait(20)
    assert drive.http.post(f"{place}/stop").status_code == 204
    assert drive.http.post(f"{place}/resume", json={}).status_code == 200
    assert ended(drive, place)["state"] == "done"
    gap.leave()
    left = quiet(drive)
    assert sorted(kind for kind, state in left if state == "done") == sorted(JOBS)
    assert [kind for kind, state in left if state == "cancelled"] == [one for one in JOBS if one == stage]
    assert drive.http.get(place).json()["state"] == "done"


class Slow:
    """The first job of a kind runs until it is cancelled, and then takes its time to give back what it has."""

    def __init__(self, drive: Any, kind: str) -> None:
        self.running, self.given_back = threading.Event(), threading.Event()
        tasks, real = drive.service.queue._tasks, drive.service.queue._tasks[kind]

        def task(todo: Any) -> Any:
            tasks[kind] = real
            try:
                self.running.set()
                while True:
                    time.sleep(0.01)
                    todo.progress.update(10, "working")
            except Cancelled:
                assert self.given_back.wait(20)
                raise

        tasks[kind] = task


@pytest.mark.parametrize("stage", JOBS)
def test_what_is_resumed_while_its_cancelled_job_gives_back_is_not_cancelled_with_it(drive: Any, stage: str) -> None:
    slow = Slow(drive, stage)
    place = launch(drive)
    assert slow.running.wait(20)
    assert drive.http.post(f"{place}/stop").status_code == 204
    assert drive.http.post(f"{place}/resume", json={}).status_code == 200
    until(lambda: [kind for kind, _ in jobs(drive)].count(stage) == 2)
    slow.given_back.set()
    assert ended(drive, place)["state"] == "done"
    assert [state for kind, state in quiet(drive) if kind == stage] == ["cancelled", "done"]


@pytest.mark.parametrize("stage", JOBS)
def test_one_that_runs_is_forgotten_and_its_job_cancelled(drive: Any, stage: str) -> None:
    slow = Slow(drive, stage)
    slow.given_back.set()
    place = launch(drive)
    assert slow.running.wait(20)
    assert drive.http.delete(place).status_code == 204
    assert quiet(drive)[-1] == (stage, "cancelled")
    assert drive.http.get(BASE).json() == {"migrations": {"migration": []}}


@pytest.mark.parametrize("stage", STAGES)
def test_it_goes_on_from_the_stage_that_failed(drive: Any, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    def fails(*_about: Any, **_more: Any) -> Any:
        raise CloudRefused("not today", hint="wait")

    tasks = drive.service.queue._tasks
    with monkeypatch.context() as broken:
        if stage == "rehearse":
            broken.setattr(images, "rehearse", fails)
        else:
            broken.setitem(tasks, stage, fails)
        place = launch(drive)
        failed = ended(drive, place)
        assert (failed["state"], failed["stage"], failed["status"]["errorMessage"]) == ("failed", stage, "not today")
        quiet(drive)
    assert drive.http.post(f"{place}/resume", json={}).status_code == 200
    assert ended(drive, place)["state"] == "done"
    expected = [one for one in JOBS for _ in range(2 if one == stage else 1)]
    assert [kind for kind, _ in quiet(drive)] == expected


def test_it_is_resumed_once_however_often_it_is_asked_for(drive: Any) -> None:
    cloud = drive.service.rooms.fake_cloud
    cloud.refuse = CloudRefused("no", hint="x")
    answer = drive.http.post(f"{BASE}/launches", json={"name": "web", "target": "docker:web", "builder": BUILDER})
    place = f"{BASE}/{answer.json()['dbId']}"
    assert ended(drive, place)["state"] == "failed"
    cloud.refuse = None
    said: list[int] = []
    asking = [threading.Thread(target=lambda: said.append(drive.http.post(f"{place}/resume", json={}).status_code)) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert ended(drive, place)["state"] == "done"
    assert said.count(200) == 1 and set(said) == {200, 409}
    assert [kind for kind, _ in quiet(drive)] == ["scan", "build", "publish", "publish"]


def test_a_scan_that_cannot_be_begun_again_leaves_it_as_it_was(drive: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(drive, "scan")
    slow.given_back.set()
    place = launch(drive)
    assert slow.running.wait(20)
    drive.http.post(f"{place}/stop")
    quiet(drive)
    real = drive.service.rooms.target
    with monkeypatch.context() as broken:
        broken.setattr(drive.service.rooms, "target", lambda label, access=None: real("docker:gone"))
        drive.error(drive.http.post(f"{place}/resume", json={}), 404)
    assert drive.http.get(place).json()["state"] == "cancelled"
    assert drive.http.post(f"{place}/resume", json={}).status_code == 200
    assert ended(drive, place)["state"] == "done"
