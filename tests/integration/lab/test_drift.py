"""The drift proof: what was done to a live system, what is on its disk, and what two scans of it say are the same, to the last field."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import truth

from emulator.lab.drift.generate import drift
from emulator.lab.drift.kinds import KINDS
from emulator.lab.drift.record import Drift
from emulator.lab.drift.shell import shell_of
from emulator.lab.lab import lab_down, lab_up
from scanner.comparison import Comparison
from scanner.errors import NotFound, UserError
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent
from scanner.report import Report
from scanner.scan import scan
from scanner.targets import open_target

NAME = "debian12-web-drifting"
SEEDS = (11, 12, 13)
COUNT = 80

pytestmark = pytest.mark.docker

Fields = dict[tuple[str, str], set[str]]


@dataclass(frozen=True)
class Look:
    """A live system at one moment: scanned, and looked at by others."""

    report: Report
    disk: truth.Snapshot
    rows: truth.Rows


@dataclass(frozen=True)
class Drifted:
    before: Look
    done: Drift
    after: Look


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lab_up("debian12-web", debian_mirrors(), tmp_path_factory.mktemp("lab"), Silent(), name=NAME)
    yield NAME
    lab_down(NAME)


def look(container: str, into: Path) -> Look:
    report = scan(open_target(f"docker:{container}"), into, Silent())
    return Look(report, truth.snapshot(container), truth.rows(container))


@pytest.fixture(scope="module")
def drifts(container: str, tmp_path_factory: pytest.TempPathFactory) -> list[Drifted]:
    """One drift upon the other: each seed finds what those before it left."""
    found, before = [], look(container, tmp_path_factory.mktemp("scan"))
    for seed in SEEDS:
        done = drift(shell_of(container), container, seed, COUNT)
        after = look(container, tmp_path_factory.mktemp("scan"))
        found.append(Drifted(before, done, after))
        before = after
    return found


def said(before: Report, after: Report) -> Fields:
    """What a comparison of two scans finds."""
    lines = io.BytesIO()
    Comparison([before, after], [1, 2]).write(lines)
    items = map(json.loads, lines.getvalue().splitlines())
    return {(item["scope"], item.get("path", item.get("name"))): set(item["fields"]) for item in items}


@pytest.fixture(params=range(len(SEEDS)), ids=[f"seed {seed}" for seed in SEEDS])
def drifted(request: pytest.FixtureRequest, drifts: list[Drifted]) -> Drifted:
    found: Drifted = drifts[request.param]
    return found


def done(drifted: Drifted) -> Fields:
    return {(effect.scope, effect.name): set(effect.fields) for effect in drifted.done.expected()}


def test_the_comparison_finds_everything_that_was_done_and_nothing_else(drifted: Drifted) -> None:
    assert said(drifted.before.report, drifted.after.report) == done(drifted)


def test_what_was_done_is_what_is_on_the_disk(drifted: Drifted) -> None:
    found = truth.differences(drifted.before.disk, drifted.after.disk)
    assert found == {name: fields for (scope, name), fields in done(drifted).items() if scope == "files"}


def test_what_was_done_to_packages_and_accounts_is_what_dpkg_and_getent_say(drifted: Drifted) -> None:
    found = truth.row_differences(drifted.before.rows, drifted.after.rows)
    assert found == {key: fields for key, fields in done(drifted).items() if key[0] in ("packages", "users")}


def test_every_kind_of_mutation_was_made(drifts: list[Drifted]) -> None:
    made = {mutation.kind for drifted in drifts for mutation in drifted.done.mutations}
    assert KINDS.keys() - made == set()
    assert all(len(drifted.done.mutations) == COUNT for drifted in drifts)


def test_the_record_is_plain_json_with_every_name(drifts: list[Drifted]) -> None:
    told = json.loads(json.dumps(drifts[0].done.told()))
    assert len(told["mutations"]) == COUNT
    assert {(one["scope"], one["name"]) for one in told["expected"]} == {(one.scope, one.name) for one in drifts[0].done.expected()}


def test_an_idle_system_has_one_digest(container: str, drifts: list[Drifted], tmp_path: Path) -> None:
    again = scan(open_target(f"docker:{container}"), tmp_path, Silent())
    assert again.head.digest == drifts[-1].after.report.head.digest
    assert said(drifts[-1].after.report, again) == {}


def test_nobody_elses_system_is_changed(container: str) -> None:
    with pytest.raises(NotFound):
        shell_of("no-such-container")
    made = subprocess.run(["docker", "create", "--label", "forgelet.test=1", f"{image_of(container)}", "true"], capture_output=True, check=True, text=True).stdout.strip()
    try:
        subprocess.run(["docker", "rename", made, "forgelet-test-foreign"], check=True)
        with pytest.raises(UserError):
            shell_of("forgelet-test-foreign")
    finally:
        subprocess.run(["docker", "rm", made], capture_output=True, check=True)


def image_of(container: str) -> str:
    return subprocess.run(["docker", "inspect", "-f", "{{.Image}}", container], capture_output=True, check=True, text=True).stdout.strip()
