"""The build cache over HTTP: everybody sees it, administrators prune it, its bound is a setting that jobs see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.service import Service
from emulator.settings import Settings


@pytest.fixture
def package(service: Service, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = service.folders.cache / "pool/x_1_all.deb"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"x" * 8192)
    return place


def test_the_cache_is_told_with_its_bound(drive: Any, package: Path) -> None:
    told = drive.http.get("/_forgelet/cache").json()
    assert [(one["kind"], one["name"], one["size"]) for one in told["entries"]["entry"]] == [("package", "x_1_all.deb", 8192)]
    assert (told["size"], told["limit"]) == (8192, 20480 * 2**20)


def test_pruning_goes_by_the_setting_or_by_what_is_asked(drive: Any, package: Path) -> None:
    assert drive.http.post("/_forgelet/cache/prune").json()["removed"]["entry"] == []
    assert package.exists()
    removed = drive.http.post("/_forgelet/cache/prune", params={"size": 0}).json()["removed"]["entry"]
    assert [one["name"] for one in removed] == ["x_1_all.deb"]
    assert not package.exists()


def test_who_is_no_administrator_looks_and_removes_nothing(drive: Any, package: Path) -> None:
    drive.http.post("/_forgelet/users", json={"login": "alice", "password": "secret"})
    assert drive.http.get("/_forgelet/cache", auth=("alice", "secret")).status_code == 200
    drive.error(drive.http.post("/_forgelet/cache/prune", params={"size": 0}, auth=("alice", "secret")), 403)
    assert package.exists()


@pytest.mark.parametrize("size", ["-1", "much"])
def test_a_size_that_is_none_is_refused(drive: Any, package: Path, size: str) -> None:
    drive.error(drive.http.post("/_forgelet/cache/prune", params={"size": size}), 400)
    assert package.exists()


def test_jobs_see_the_bound(tmp_path: Path) -> None:
    assert Settings(data=tmp_path, cache_size=0).environment()["FORGELET_CACHE_SIZE"] == "0"
    assert Settings(data=tmp_path).environment()["FORGELET_CACHE_SIZE"] == "20480"
