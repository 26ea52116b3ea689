"""Faults at the real stages, through real jobs over HTTP: real scans, captures, builds, uploads and proofs. Only diskimage-builder and the booted
machine are played."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.smallbuild import played
from support.stagefaults import ROOT, VERIFY, Lab, booted

from builders import base
from builders.image import Image
from builders.plan import BuildPlan
from builders.platforms.openstack import Making, make
from builders.rehearsal import Rehearsal
from builders.spec import BuilderSpec
from emulator.app import make_app, make_service
from emulator.jobs.inprocess import InProcessQueue
from emulator.settings import Settings
from scanner.progress import Progress
from scanner.report import Report

pytestmark = pytest.mark.dib
SPEC = "builders:\n- {type: openstack, hardwareSettings: {memory: 64}, installation: {diskSize: 64}, imageName: small}\n"
BUILD = ("build.plan", "build.base", "build.last-pass", "build.convert", "build.check")


@dataclass
class Small:
    """The platform with the plan and the base disk of the fabricated machine."""

    place: Path

    def rehearse(self, report: Report, specs: Sequence[BuilderSpec], cache: Path) -> list[Rehearsal]:
        return [Rehearsal(builder=number, type=spec.type, points=[]) for number, spec in enumerate(specs)]

    def build(self, report: Path, spec: BuilderSpec, into: Path, work: Path, cache: Path, progress: Progress) -> Image:
        return make(Making(report, lambda: BuildPlan.model_validate_json((self.place / "plan.json").read_bytes())), into, work, cache, progress)


@pytest.fixture
def lab(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(base, "build_base", played(project))
    monkeypatch.setattr("emulator.rooms.platform", lambda kind: Small(project))
    monkeypatch.setattr("builders.verify.booted", booted)
    here = make_service(Settings(data=tmp_path / "data"))
    here.queue = InProcessQueue(here.ledger, here.folders)
    with TestClient(make_app(here)) as http:
        http.auth = ("root", "forgelet")
        made = Lab(http, here)
        made.listen(monkeypatch)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(project / "scan", arcname=".")
        assert http.post("/_forgelet/reports", params={"name": "source"}, content=packed.getvalue()).status_code == 201
        yield made


def test_at_the_real_stages_of_a_scan(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(50):
        (tmp_path / f"tree/{number}").write_text("x")

    def scan(**more: Any) -> Any:
        return lab.http.post(f"{ROOT}/scannedinstances", json={"name": "tree", "target": f"directory:{tmp_path / 'tree'}", "overlay": True, **more})

    for stage, more in (("scan.inventory", {}), ("scan.capture", {}), ("scan.capture", {"percent": 95})):
        lab.fails(scan, stage, **more)
    assert lab.ended(scan())[1].state == "done"
    lab.within("scan.capture")
    assert lab.ended(scan(name="simple", overlay=False))[1].state == "done"
    lab.within("scan.inventory")


def test_at_the_real_stages_of_a_build_an_upload_and_a_proof(lab: Lab) -> None:
    """Each fault is met by the build that went past the one before: so every next run works, up to its own."""

    def build() -> Any:
        return lab.http.post(f"{ROOT}/scannedinstances/1/scans/1/builds", json={"fileName": "small.yml", "text": SPEC})

    for stage in BUILD:
        lab.fails(build, stage)
    image, job = lab.ended(build())
    assert job.state == "done", job.error

    lab.fails_to_upload(image)
    assert lab.fails_to_prove(image).exit_code in (0, 4)
    for stage in (*BUILD, "publish.check", "publish.upload", *VERIFY):
        lab.within(stage)
