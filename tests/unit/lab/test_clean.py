"""What clean takes of a data folder, and what it leaves."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from emulator import clean as module
from emulator.clean import clean
from emulator.control.seeds.wanted import Seeds
from emulator.folders import Folders
from emulator.lab.lessons import state
from emulator.lab.lessons.state import Begun
from scanner.errors import Unreachable, UserError
from scanner.host import chance, clock


@pytest.fixture(autouse=True)
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither engine answers, and no process, mount or loop is looked for."""

    def silent(**_: object) -> list[str]:
        raise Unreachable("no engine")

    def remove(folder: Path) -> list[str]:
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
        return []

    monkeypatch.setattr(module, "clean_docker", silent)
    monkeypatch.setattr(module, "clean_libvirt", silent)
    monkeypatch.setattr(module, "give_back", remove)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that was used."""
    folder = tmp_path / "data"
    Folders(folder).make()
    for part in ("jobs/1/work", "images/1", "scans/1", "cloud/instances/1", "templates/1", "tls", "trash/1", "cache/base", "snapshots/one"):
        (folder / part).mkdir(parents=True)
        (folder / part / "file").write_text("x")
    for name in ("forgelet.db", "forgelet.db-wal", "journal.db", "secrets.key", "lock", "service.log"):
        (folder / name).write_text("x")
    # What is made where it is used: through whoever makes it, so that it is known wherever it lies.
    Seeds(Folders(folder).seeds).put("shop", "users: []", folder)
    state.write(folder, Begun(lesson="first-migration", since="2026-01-01T00:00:00.000Z", word="w"))
    clock.follow(Folders(folder).clock)
    chance.follow(Folders(folder).ids)
    clock.put(clock.Setting(0, 0, 0))
    chance.seed("lab")
    return folder


def test_everything_of_ours_goes_and_silent_engines_are_told_of(data: Path) -> None:
    done = clean(data)
    assert not data.exists()
    assert sum("does not answer" in line for line in done) == 2


def test_the_cache_stays_when_asked(data: Path) -> None:
    clean(data, keep_cache=True)
    assert [path.name for path in data.iterdir()] == ["cache"]
    assert (data / "cache/base/file").exists()


def test_what_somebody_else_put_there_stays(data: Path) -> None:
    (data / "thesis.odt").write_text("mine")
    clean(data)
    assert [path.name for path in data.iterdir()] == ["thesis.odt"]


def test_it_refuses_while_a_service_holds_the_folder(data: Path) -> None:
    with (data / "lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError):
            clean(data)
    assert (data / "forgelet.db").exists()


def test_it_can_be_repeated(data: Path) -> None:
    clean(data)
    assert not any(line.startswith("removed") for line in clean(data))
