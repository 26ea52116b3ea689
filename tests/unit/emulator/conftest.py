"""A service in this process: real routes, storage and queue; the other rooms are faked, so no engine is needed."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.tinydisk import raw_disk

from builders.clouds.base import Account
from builders.clouds.fake import FakeCloud
from builders.image import Fidelity, Image, ImageFile, Scope
from builders.rehearsal import Point, Rehearsal, Weight, point
from builders.search import Offered
from builders.spec import BuilderSpec, parse
from builders.template import Template
from emulator import auth
from emulator.app import make_app, make_service
from emulator.control.capabilities import Capabilities
from emulator.jobs import clouds
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.outcome import Outcome, done
from emulator.jobs.tasks import Assignment, scanned, tell_distribution
from emulator.service import Service
from emulator.settings import Settings
from emulator.wire import answer
from scanner.errors import NotFound, Unreachable
from scanner.host import sweep
from scanner.report import BlindSpot, FileEntry, Package, Report, ScanReport, System, file_table, write_head
from scanner.targets.access import Access

BUILDER = """---
builders:
- type: openstack
  hardwareSettings:
    memory: 1024
  installation:
    diskSize: 2000
  imageName: scan-test
"""


class FakeTarget:
    """A target that is there, unless its name says otherwise."""

    def __init__(self, label: str) -> None:
        self.label = label

    def facts(self) -> None:
        if self.label == "docker:gone":
            raise NotFound("there is no container 'gone'", hint="docker ps")
        if self.label == "docker:down":
            raise Unreachable("the Docker engine does not answer", hint="start dockerd")
        if self.label == "docker:broken":
            raise RuntimeError("secret internals")


class FakePlatform:
    """Refuses disks below 100 MiB."""

    def rehearse(self, report: Report, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        return [Rehearsal(builder=number, type=spec.type, points=list(_points(number, spec))) for number, spec in enumerate(specs)]


def _points(number: int, spec: BuilderSpec) -> Iterator[Point]:
    yield point("interface-names", Weight.CONDITION, "the network is translated", ["eth0"])
    if spec.disk_size < 100:
        place = f"line 6, builders[{number}].installation.diskSize"
        yield point("disk-too-small", Weight.BLOCKS, f"{spec.disk_size} is too small", next="make the disk larger", place=place)
    if spec.memory == 666:
        yield point("no-kernel", Weight.BLOCKS, "there is no kernel in reach")
    if spec.memory == 667:
        yield point("mirror-unreachable", Weight.BLOCKS, "the mirror does not answer", next="start it")
    if spec.offline:
        yield point("not-cached", Weight.BLOCKS, "2 packages are not in the cache", ["nginx=1", "login=2"], "build once without --offline")


class FakeRooms:
    def __init__(self) -> None:
        self.fake_cloud = FakeCloud()

    def cloud(self, account: Account, home: Path) -> FakeCloud:
        return self.fake_cloud

    def target(self, label: str, access: Access | None = None) -> Any:
        return FakeTarget(label)

    def specs(self, text: str, name: str) -> list[BuilderSpec]:
        return parse(text, name)

    def platform(self, kind: str) -> Any:
        return FakePlatform()

    def rehearse_template(self, template: Template, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        return FakePlatform().rehearse(None, specs, cache)  # type: ignore[arg-type]

    def packages(self, codename: str, arch: str, pattern: str, cache: Path) -> list[Offered]:
        moment = datetime(2024, 5, 1, 12, tzinfo=UTC)
        return [Offered(f"{codename}-{name}", version, arch, 1000, "00", "web", moment) for name in ("nginx",) for version in ("1.0-1", "1.1-1") if pattern != "none"]


class Tasks:
    """Tasks that make small results; `gate` holds them all until it is opened."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.blind_spots: list[BlindSpot] = []
        self.faithful = True
        self.order: list[int] = []
        self.secrets: list[str] = []

    def table(self) -> dict[str, Callable[[Assignment], Outcome]]:
        return {"scan": self.scan, "build": self.build, "verify": self.verify, "publish": clouds.publish, "provision": clouds.provision}

    def _pass(self, todo: Assignment, stage: str) -> None:
        assert todo.job.id is not None
        self.order.append(todo.job.id)
        todo.progress.stage(stage, "working")
        while not self.gate.wait(0.01):
            todo.progress.update(10, "waiting")

    def scan(self, todo: Assignment) -> Outcome:
        self.secrets.append(todo.secret)
        self._pass(todo, "inventory")
        with file_table(todo.result) as lines:
            for name in ("/etc/motd", "/odd\udcff"):
                lines.write(FileEntry(path=name, type="file", state="unmanaged", reason="not-in-any-package").to_json().encode() + b"\n")
        system = System(distribution="Debian", version="12", arch="x86_64", hostname="web")
        packages = [Package(name="nginx", version="1.22.1-9", arch="amd64")]
        write_head(todo.result, ScanReport(target=todo.arguments["target"], system=system, packages=packages, blind_spots=self.blind_spots))
        tell_distribution(todo, Report(todo.result))
        return scanned(len(self.blind_spots))

    def build(self, todo: Assignment) -> Outcome:
        self._pass(todo, "base")
        raw_disk(todo.result / "disk.raw")
        disk = (todo.result / "disk.raw").read_bytes()
        file = ImageFile(format="raw", name="disk.raw", size=len(disk), sha256=hashlib.sha256(disk).hexdigest())
        Image(files=[file], virtual_size=1 << 20, memory=1024, packages=3).save(todo.result)
        return done("Done, created")

    def verify(self, todo: Assignment) -> Outcome:
        self._pass(todo, "boot")
        found = Fidelity(scopes={"packages": Scope(equal=1, unexplained=0 if self.faithful else 1)})
        (todo.result / "fidelity.json").write_text(found.model_dump_json(by_alias=True))
        (todo.result / "fidelity.html").write_text("<!doctype html>")
        return done("proven") if self.faithful else done("1 unexplained differences", exit_code=4)


@pytest.fixture
def tasks() -> Iterator[Tasks]:
    made = Tasks()
    yield made
    made.gate.set()


@pytest.fixture
def service(tmp_path: Path, tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> Service:
    def remove(work: Path) -> list[str]:
        shutil.rmtree(work, ignore_errors=True)
        return []

    # The real sweep looks for the whole machine's mounts and processes, with root's rights.
    monkeypatch.setattr(sweep, "give_back", remove)
    # Every JSON answer under UForge's names is written as XML too: a key that is neither UForge's nor declared as ours fails.
    monkeypatch.setattr(answer, "checked", True)
    # Slow on purpose, where it is not tests that wait.
    monkeypatch.setitem(auth._COST, "n", 2**4)
    here = make_service(Settings(data=tmp_path / "data"))
    here.queue = InProcessQueue(here.ledger, here.folders, tasks.table())
    here.rooms = FakeRooms()
    # Jobs open clouds themselves.
    monkeypatch.setattr("builders.clouds.opened", here.rooms.cloud)
    here.capabilities = Capabilities({"docker": lambda: "", "dib": lambda: "missing programs: sfdisk"})
    return here


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        client.auth = ("root", "forgelet")
        yield client


SCANS = "/api/users/root/scannedinstances"


class Driver:
    """Short words for what most tests do."""

    def __init__(self, http: TestClient, service: Service) -> None:
        self.http = http
        self.service = service

    def scan(self, name: str = "web", **body: Any) -> dict[str, Any]:
        """A scan, run to its end."""
        answer = self.http.post(SCANS, json={"name": name, "target": "docker:web", **body})
        assert answer.status_code == 201, answer.text
        scan: dict[str, Any] = answer.json()
        assert self.service.queue.wait(scan["jobId"], 10)
        return scan

    def build(self, scan: dict[str, Any], text: str = BUILDER) -> Any:
        return self.http.post(f"/api/{scan['uri']}/builds", json={"fileName": "b.yml", "text": text})

    def image(self) -> dict[str, Any]:
        """An image, built to its end."""
        answer = self.build(self.scan(overlay=True))
        assert answer.status_code == 201, answer.text
        image: dict[str, Any] = answer.json()["images"]["image"][0]
        assert self.service.queue.wait(image["jobId"], 10)
        return image

    def error(self, answer: Any, status: int) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        told: dict[str, Any] = answer.json()["uforgeError"]
        assert "Traceback" not in answer.text
        assert told["statusCode"] == status
        return told


@pytest.fixture
def drive(http: TestClient, service: Service) -> Driver:
    return Driver(http, service)


@pytest.fixture
def cloud(drive: Any) -> Any:
    return drive.service.rooms.fake_cloud


@pytest.fixture
def image(drive: Any) -> Any:
    return drive.image()
