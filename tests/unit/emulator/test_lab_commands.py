"""`forgelet snapshot`, `clock`, `reset` and `fault points` against the real application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.client import Client
from cli.main import run
from scanner.host import chance, clock

Command = Callable[..., tuple[int, str, str]]
SCANS = "/api/users/root/scannedinstances"


@pytest.fixture
def forgelet(drive: Any, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    client = Client("http://testserver/api", "root", "forgelet", drive.http._transport)

    def command(*argv: str) -> tuple[int, str, str]:
        code = run(list(argv), obj=client)
        told = capsys.readouterr()
        return code, told.out, told.err

    yield command
    clock.put(None)
    chance.seed(None)


def test_a_snapshot_from_save_to_delete(drive: Any, forgelet: Command, tmp_path: Path) -> None:
    drive.scan("kept")
    assert forgelet("snapshot", "list")[1] == "Found 0 snapshots\n"
    code, told, _ = forgelet("snapshot", "save", "before")
    assert code == 0 and "rows and 0 instances are in the snapshot 'before'" in told
    code, _, said = forgelet("snapshot", "save", "before")
    assert code == 1 and "there is a snapshot 'before' already" in said
    assert forgelet("snapshot", "save", "before", "--replace")[0] == 0
    assert "before" in forgelet("snapshot", "list")[1]
    assert "1 scan\n" in forgelet("snapshot", "show", "before")[1]
    assert json.loads(forgelet("snapshot", "show", "before", "-o", "json")[1])["rows"]["scan"] == 1

    forgelet("reset")
    assert forgelet("snapshot", "load", "before")[1] == "OK: everything is as in 'before'\n"
    assert [one["name"] for one in drive.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]] == ["kept"]

    file = tmp_path / "before.tar.zst"
    assert forgelet("snapshot", "export", "before", "--file", str(file))[0] == 0
    assert file.stat().st_mode & 0o077 == 0
    assert forgelet("snapshot", "import", str(file), "--name", "again")[1] == "OK: snapshot 'again'\n"
    code, _, said = forgelet("snapshot", "import", str(tmp_path / "none"))
    assert code == 1 and "cannot be read" in said
    assert forgelet("snapshot", "delete", "before")[1] == "OK: deleted\n"
    assert forgelet("snapshot", "load", "before")[0] == 1
    assert forgelet("snapshot", "load", "again")[0] == 0


def test_the_clock_is_set_stepped_and_given_back(drive: Any, forgelet: Command) -> None:
    assert "the machine's" in forgelet("clock", "show")[1]
    assert forgelet("clock", "set", "--at", "2030-01-01T00:00:00Z", "--rate", "0")[1].startswith("2030-01-01T00:00:00.000Z, 0 times as fast")
    assert forgelet("clock", "step", "90")[1].startswith("2030-01-01T00:01:30")
    assert drive.scan()["created"] == "2030-01-01T00:01:30.000Z"
    assert json.loads(forgelet("clock", "show", "-o", "json")[1])["set"] is True
    code, _, said = forgelet("clock", "set", "--at", "yesterday")
    assert code == 1 and "at" in said
    assert forgelet("clock", "real")[1] == "OK: the machine's time\n"
    assert drive.http.get("/_forgelet/clock").json()["set"] is False


def test_numbers_are_seeded_shown_and_drawn_at_random_again(drive: Any, forgelet: Command) -> None:
    assert forgelet("clock", "ids")[1] == "at random\n"
    assert forgelet("clock", "ids", "--seed", "42")[1] == "seed 42, 0 drawn\n"
    first = chance.identifier()
    assert forgelet("clock", "ids")[1] == "seed 42, 1 drawn\n"
    forgelet("clock", "ids", "--seed", "42")
    assert chance.identifier() == first
    assert forgelet("clock", "ids", "--random")[1] == "at random\n"


def test_a_reset_tells_what_went_and_what_is_given_back(drive: Any, forgelet: Command) -> None:
    drive.scan()
    code, told, _ = forgelet("reset")
    assert code == 0
    assert "     1 scan\n" in told and "     1 blobs given back\n" in told


def test_points_tell_how_far_a_job_comes_in_a_stage(forgelet: Command) -> None:
    told = forgelet("fault", "points")[1]
    assert [line.split() for line in told.splitlines() if "publish.upload" in line] == [["|", "publish.upload", "|", "10-90", "|", "yes", "|"]]
