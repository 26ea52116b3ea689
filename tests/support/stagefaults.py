"""Faults at the real stages of jobs, and what is really told of progress in each; a machine that is played where none can be booted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emulator.jobs.progress import RecordedProgress
from emulator.jobs.stages import STAGES
from scanner.host.run import run

ROOT = "/api/users/root"
WORDS = "as the test wants"
VERIFY = ("verify.boot", "verify.ask", "verify.read", "verify.compare")


@dataclass
class Played:
    """A machine that says that all is well."""

    disk: Path
    console: Path

    def wait_for_agent(self) -> float:
        return 0.1

    def execute(self, *argv: str, timeout: float = 0) -> tuple[int, str]:
        return 0, {"/bin/systemctl": "running", "/usr/bin/cloud-init": "status: done", "/bin/uname": "6.1"}.get(argv[0], "") if "--wait" in argv or argv[0] != "/bin/systemctl" else ""

    def shut_down(self) -> None:
        return


@contextmanager
def booted(image: Path, format: str, memory: int, work: Path, **_: Any) -> Iterator[Played]:
    disk, console = work / "machine.qcow2", work / "console.log"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", format, "-b", str(image.resolve()), str(disk)])
    console.write_text("login:\n")
    yield Played(disk, console)


class Lab:
    """The service, with one scan that was recorded, and what was told of progress in each stage."""

    def __init__(self, http: TestClient, service: Any) -> None:
        self.http, self.service = http, service
        self.percents: dict[str, set[int]] = defaultdict(set)
        self.moved: set[str] = set()
        self.entered: list[str] = []

    def ended(self, answer: Any) -> Any:
        assert answer.status_code == 201, answer.text
        told = answer.json()
        told = told["images"]["image"][0] if "images" in told else told
        job = told.get("jobId", told["dbId"])
        assert self.service.queue.wait(job, 120)
        return told, self.service.ledger.get(job)

    def fault(self, **asked: Any) -> int:
        made = self.http.post("/_forgelet/faults", json={"message": WORDS, **asked})
        assert made.status_code == 201, made.text
        return int(made.json()["dbId"])

    def fails(self, begin: Callable[[], Any], stage: str, **more: Any) -> None:
        """The job that begins fails there, with the fault's words, and the fault counts it."""
        fault = self.fault(stage=stage, **more)
        job = self.ended(begin())[1]
        assert (job.state, job.stage, job.error, job.error_code) == ("failed", stage, WORDS, "fault")
        told = self.http.get(f"/_forgelet/faults/{fault}").json()
        assert (told["met"], told["hits"]) == (1, 1)

    def fails_to_upload(self, image: dict[str, Any]) -> None:
        """To this machine's cloud, at each stage and point of the upload, and leaves nothing there; the next one works."""

        def publish() -> Any:
            return self.http.post(f"/api/{image['uri']}/pimages", json={"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": "small"})

        for stage, more in (("publish.check", {}), ("publish.upload", {}), ("publish.upload", {"after": 1}), ("publish.upload", {"percent": 90})):
            self.fails(publish, stage, **more)
            assert list((self.service.folders.cloud / "images").glob("*")) == []
        assert self.ended(publish())[1].state == "done"

    def fails_to_prove(self, image: dict[str, Any]) -> Any:
        """At each stage of the proof; the job of the next one, which works."""

        def verify() -> Any:
            return self.http.post(f"{ROOT}/images/{image['dbId']}/verifications", json={})

        for stage in VERIFY:
            self.fails(verify, stage)
        proof = self.ended(verify())[1]
        assert proof.state == "done", proof.error
        return proof

    def within(self, stage: str) -> None:
        """What was told in the stage is what the table of stages says: its highest point is really reached."""
        reach = STAGES[stage]
        found = self.percents[stage]
        assert (reach.percent is not None) == bool(found), stage
        assert reach.percent is None or (min(found) >= reach.percent[0] and max(found) == reach.percent[1]), (stage, found)
        assert (stage in self.moved) == reach.moves, stage

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hear what jobs tell of their progress."""
        stage, update, moved = RecordedProgress.stage, RecordedProgress.update, RecordedProgress.moved

        def entering(progress: Any, name: str, message: str = "") -> None:
            self.entered.append(f"{progress._kind}.{name}")
            stage(progress, name, message)

        def updating(progress: Any, percent: int, message: str = "") -> None:
            self.percents[self.entered[-1]].add(percent)
            update(progress, percent, message)

        def moving(progress: Any, count: int) -> None:
            self.moved.add(self.entered[-1])
            moved(progress, count)

        for name, heard in (("stage", entering), ("update", updating), ("moved", moving)):
            monkeypatch.setattr(RecordedProgress, name, heard)
