"""Both queues keep the same promises: jobs in child processes, and jobs in threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.app import make_service
from emulator.control import faults
from emulator.control.tables import Fault
from emulator.jobs import kinds
from emulator.jobs.embedded import EmbeddedQueue
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.kinds import State
from emulator.jobs.ledger import create
from emulator.resources.jobs.tables import Job
from emulator.service import Service
from emulator.settings import Settings
from scanner.errors import NotFound

KINDS: dict[str, Callable[[Service], Any]] = {
    "embedded": lambda here: EmbeddedQueue(here.ledger, here.folders, {}),
    "inprocess": lambda here: InProcessQueue(here.ledger, here.folders),
}
STAGE = "scan.inventory"


@dataclass
class Bench:
    """A queue on its own data folder, with jobs that scan a small tree."""

    here: Service
    tree: Path
    made: int = 0

    def job(self) -> int:
        self.made += 1
        arguments = {"scan": self.made, "instance": 0, "name": "t", "target": f"directory:{self.tree}", "overlay": False, "exclude": []}
        self.here.authenticator.user("Basic cm9vdDpmb3JnZWxldA==")
        with self.here.database.write() as session:
            job = create(session, 1, "scan", "", arguments)
        assert job.id
        self.here.queue.submit()
        return job.id

    def fault(self, action: str) -> None:
        faults.ask(self.here.database, Fault(stage=STAGE, action=action, times=1))

    def get(self, number: int) -> Job:
        return self.here.ledger.get(number)


@pytest.fixture(params=sorted(KINDS))
def bench(request: pytest.FixtureRequest, tmp_path: Path, tree: Path) -> Iterator[Bench]:
    here = make_service(Settings(data=tmp_path / "data"))
    here.queue = KINDS[request.param](here)
    here.queue.start()
    yield Bench(here, tree)
    here.queue.stop(10)


def test_a_job_runs_to_its_end_and_its_result_is_in_place(bench: Bench) -> None:
    job = bench.job()
    assert bench.here.queue.wait(job, 20)
    assert (bench.get(job).state, bench.get(job).percent, bench.get(job).exit_code) == (State.DONE, 100, 0)
    assert (bench.here.folders.scan(1) / "head.json").exists()
    assert not bench.here.folders.work(job).exists()
    assert STAGE in bench.here.folders.log(job).read_text()


def test_a_failing_job_says_its_cause_and_leaves_no_result(bench: Bench) -> None:
    bench.fault("fail")
    job = bench.job()
    assert bench.here.queue.wait(job, 20)
    assert (bench.get(job).state, bench.get(job).error_code) == (State.FAILED, "fault")
    assert not bench.here.folders.scan(1).exists()


def test_a_running_job_is_cancelled_and_the_next_one_runs(bench: Bench, service_until: Any) -> None:
    bench.fault("hang")
    job = bench.job()
    service_until(lambda: bench.get(job).stage == STAGE)
    bench.here.queue.cancel(job)
    assert bench.here.queue.wait(job, 20)
    assert bench.get(job).state == State.CANCELLED
    after = bench.job()
    assert bench.here.queue.wait(after, 20)
    assert bench.get(after).state == State.DONE


def test_a_job_that_is_cancelled_right_away_is_cancelled_whatever_it_was_doing(bench: Bench) -> None:
    bench.fault("hang")
    job = bench.job()
    bench.here.queue.cancel(job)
    assert bench.here.queue.wait(job, 20)
    assert bench.get(job).state == State.CANCELLED


def test_what_is_scarce_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch, service_until: Any) -> None:
    monkeypatch.setitem(kinds.CAPACITY, "scan", 1)
    bench.fault("hang")
    first, second = bench.job(), bench.job()
    service_until(lambda: bench.get(first).stage == STAGE)
    assert bench.get(second).state == State.QUEUED
    assert not bench.here.queue.wait(second, 0.2)
    bench.here.queue.cancel(first)
    assert bench.here.queue.wait(second, 20)
    assert bench.get(second).state == State.DONE


def test_a_stopped_queue_ends_its_jobs_as_failed_and_takes_no_more(bench: Bench, service_until: Any) -> None:
    bench.fault("hang")
    job = bench.job()
    service_until(lambda: bench.get(job).stage == STAGE)
    bench.here.queue.stop(10)
    assert bench.get(job).state == State.FAILED
    assert f"the service stopped while the job was in stage {STAGE}" in bench.get(job).error
    assert bench.get(bench.job()).state == State.QUEUED


def test_a_new_queue_settles_what_a_dead_one_left_and_runs_what_waited(bench: Bench) -> None:
    bench.here.queue.stop(1)
    left, waited = bench.job(), bench.job()
    bench.here.ledger.running(left)
    bench.here.ledger.stage(left, STAGE, "")
    fresh = type(bench.here.queue)
    bench.here.queue = KINDS["embedded" if fresh is EmbeddedQueue else "inprocess"](bench.here)
    bench.here.queue.start()
    assert bench.here.queue.wait(left, 20) and bench.here.queue.wait(waited, 20)
    assert (bench.get(left).state, bench.get(left).error_code) == (State.FAILED, "interrupted")
    assert bench.get(waited).state == State.DONE


def test_a_job_that_is_not_there_cannot_be_cancelled(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.here.queue.cancel(99)
