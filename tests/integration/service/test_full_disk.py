"""The service's own disk fills up in the middle of a real scan: in the inventory, and while contents come home."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.service import SCANS, Service
from support.smallbuild import small_disk

MIB = 16


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with small_disk(tmp_path / "data", MIB) as data:
        running = Service(data)
        try:
            yield running
        finally:
            running.close()


def scanned(service: Service, tree: Path, *, overlay: bool) -> dict[str, Any]:
    answer = service.http.post(SCANS, json={"name": "big", "target": f"directory:{tree}", "overlay": overlay})
    assert answer.status_code == 201, answer.text
    return service.ended(answer.json()["jobId"])


def left(service: Service) -> list[str]:
    """What the scan left behind in the data folder."""
    places = [service.data / name for name in ("scans", "fetched")]
    return [str(file) for place in places if place.is_dir() for file in place.rglob("*") if file.is_file()]


def test_a_disk_that_fills_up_while_contents_come_home_is_the_cause_and_nothing_stays(service: Service, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(8):
        (tree / f"data{number}").write_bytes(os.urandom(4 << 20))
    failed = scanned(service, tree, overlay=True)
    assert (failed["state"], failed["stage"], failed["exitCode"]) == ("failed", "scan.capture", 5)
    assert "no space left" in failed["error"] and failed["hint"]
    assert left(service) == []
    for file in sorted(tree.iterdir())[1:]:
        file.unlink()
    assert scanned(service, tree, overlay=True)["state"] == "done", "with room again, the next one works"


def test_a_disk_that_fills_up_with_the_inventory_is_the_cause_and_nothing_stays(service: Service, tmp_path: Path) -> None:
    filler = service.data / "filler"
    room = os.statvfs(service.data)
    filler.write_bytes(bytes(room.f_bavail * room.f_bsize - (1 << 20)))
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(20_000):
        (tree / f"{os.urandom(40).hex()}{number}").touch()
    failed = scanned(service, tree, overlay=False)
    assert (failed["state"], failed["exitCode"]) == ("failed", 5)
    assert "no space left" in failed["error"] and failed["hint"]
    assert left(service) == []
    filler.unlink()
    assert json.loads(service.http.get("/_forgelet/health").content)["ready"]
