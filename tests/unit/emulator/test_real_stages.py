"""Faults at the real stages of scans, captures, uploads and proofs, through real jobs over HTTP. Where a proof boots and mounts, that is played."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.stagefaults import ROOT, VERIFY, Lab, booted

from builders.clouds import opened
from emulator.jobs.inprocess import InProcessQueue
from emulator.jobs.tasks import TASKS


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "etc").mkdir(parents=True)
    (made / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    for number in range(50):
        (made / f"etc/{number}").write_text("x")
    return made


@pytest.fixture
def lab(drive: Any, tasks: Any, tree: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The real tasks, but for the build."""
    monkeypatch.setattr("builders.clouds.opened", opened)
    monkeypatch.setattr("builders.verify.booted", booted)

    @contextmanager
    def mounted(disk: Path, format: str, work: Path) -> Iterator[Path]:
        yield tree

    monkeypatch.setattr("builders.verify.root_of", mounted)
    monkeypatch.setattr("builders.verify.witnesses.of_image", lambda *_: [])
    # Which only a real build writes.
    for place in ("builders.origins.record", "builders.proof.kept.record"):
        monkeypatch.setattr(place, lambda _folder: {})
    here = drive.service
    here.queue = InProcessQueue(here.ledger, here.folders, {**TASKS, "build": tasks.build})
    here.queue.start()
    made = Lab(drive.http, here)
    made.listen(monkeypatch)
    return made


def scan(lab: Lab, tree: Path, **more: Any) -> Any:
    return lab.http.post(f"{ROOT}/scannedinstances", json={"name": "tree", "target": f"directory:{tree}", "overlay": True, **more})


def test_a_scan_fails_at_each_of_its_stages_and_the_next_one_works(lab: Lab, tree: Path) -> None:
    for stage, more in (("scan.inventory", {}), ("scan.capture", {}), ("scan.capture", {"percent": 95})):
        lab.fails(lambda: scan(lab, tree), stage, **more)
    assert lab.ended(scan(lab, tree))[1].state == "done"
    lab.within("scan.capture")
    assert lab.ended(scan(lab, tree, name="simple", overlay=False))[1].state == "done"
    lab.within("scan.inventory")


def test_an_upload_and_a_proof_fail_at_each_of_their_stages_and_the_next_one_works(lab: Lab, drive: Any, tree: Path) -> None:
    made, job = lab.ended(scan(lab, tree))
    assert job.state == "done", job.error
    image, _ = lab.ended(drive.build(made))

    lab.fails_to_upload(image)
    lab.fails_to_prove(image)
    for stage in ("publish.check", "publish.upload", *VERIFY):
        lab.within(stage)
