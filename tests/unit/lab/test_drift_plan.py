"""The drift generator on a system that only answers: what it chooses, what it foretells, what it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.main import run
from emulator import local
from emulator.lab.drift.generate import drift
from emulator.lab.drift.kinds import KINDS
from emulator.lab.drift.record import Drift, Effect, Mutation


def listing(*rows: tuple[str, str, str, int, int]) -> bytes:
    """As find prints it: path, type, mode, size, links."""
    return b"".join(b"\0".join(map(str.encode, (path, kind, mode, "0", "0", str(size), str(links), "8", f"1:{path}"))) + b"\0" for path, kind, mode, size, links in rows)


class System:
    """Answers what a survey asks, keeps what it is told to do."""

    def __init__(self) -> None:
        self.did = b""

    def __call__(self, script: bytes) -> bytes:
        answers = {
            b"find /etc /usr": listing(("/srv", "d", "755", 0, 2), ("/srv/data", "d", "755", 0, 2), ("/srv/data/one", "f", "644", 10, 1), ("/srv/data/two", "f", "644", 10, 1), ("/etc/passwd", "f", "644", 99, 1)),
            b"cat /etc/passwd": b"root:x:0:0::/root:/bin/sh\n",
            b"cat /etc/shadow": b"root:*:1::::::\n",
            b"cat /etc/group": b"root:x:0:\n",
            b"dpkg-query": b"dash amd64 install installed\n",
            b"set -e": b"",
        }
        if script.startswith(b"set -e"):
            self.did += script
        return next((answer for start, answer in answers.items() if script.startswith(start)), b"")


def test_the_same_seed_does_the_same_and_another_does_not() -> None:
    made = [drift(System(), "x", seed, 12).told()["mutations"] for seed in (7, 7, 8)]
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize("seed", [0, 7, 2**31 - 1, 2**63])
def test_whatever_the_seed_numbers_are_those_of_users(seed: int) -> None:
    system = System()
    drift(system, "x", seed, 12, kinds={"owner", "group", "add-user"} & set(KINDS))
    numbers = [int(one) for one in re.findall(rb"chown -h :?(\d+) ", system.did)]
    assert numbers and max(numbers) < 2**31


def test_only_kinds_that_are_asked_for_are_done() -> None:
    assert {one.kind for one in drift(System(), "x", 7, 4, kinds={"mode"}).mutations} == {"mode"}


def test_no_path_is_touched_twice_and_account_tables_are_left_to_their_own_kinds() -> None:
    done = drift(System(), "x", 3, 30)
    files = [one.what for one in done.mutations if one.kind in ("mode", "owner", "content-appended", "deleted-unmanaged", "renamed", "content-swapped")]
    assert len(files) == len(set(files))
    assert "/etc/passwd" not in files


def test_everything_that_is_told_was_done() -> None:
    system = System()
    done = drift(system, "x", 5, 20)
    assert all(mutation.script in system.did for mutation in done.mutations)


def test_kinds_that_find_no_place_are_passed_over() -> None:
    made = {mutation.kind for mutation in drift(lambda script: b"", "x", 1, 9).mutations}
    assert made == {"user-added", "group-added"}


def test_effects_on_one_path_are_told_together_and_what_goes_has_no_other_difference() -> None:
    effects = (Effect("files", "/a", ("mtime",)), Effect("files", "/a", ("mode",)), Effect("files", "/b", ("mode",)), Effect("files", "/b", ("presence",)))
    done = Drift("x", 1, [Mutation("k", "w", b"", effects)])
    assert done.expected() == [Effect("files", "/a", ("mode", "mtime")), Effect("files", "/b", ("presence",))]


def test_the_command_writes_down_what_it_did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lab_drift(target: str, seed: int, count: int) -> object:
        return {"target": target, "seed": seed, "mutations": [{"kind": "odd-name", "what": "/odd\udcff", "effects": []}], "expected": []}

    monkeypatch.setattr(local, "lab_drift", lab_drift)
    record = tmp_path / "drift.json"
    assert run(["lab", "drift", "--seed", "4", "--count", "1", "web", "--record", str(record)]) == 0
    assert "odd-name" in capsys.readouterr().out
    assert json.loads(record.read_text())["mutations"][0]["what"] == "/odd\udcff"
    assert run(["lab", "drift", "--seed", "4", "--count", "1", "web", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 4
