"""The drift proof: what was done to a live system, what is on its disk, and what two scans of it say are the same, to the last field."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import truth
from support.drifting import Drifted, Subject, said

from emulator.lab.drift import records
from emulator.lab.drift.kinds import KINDS
from emulator.lab.drift.shell import shell_of
from emulator.lab.lab import lab_down, lab_up
from scanner.errors import NotFound, UserError
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import open_target

NAME = "debian12-web-drifting"
SEEDS = (11, 12, 13)
COUNT = 80

pytestmark = pytest.mark.docker

@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    lab_up("debian12-web", debian_mirrors(), tmp_path_factory.mktemp("lab"), Silent(), name=NAME)
    yield NAME
    lab_down(NAME)


@pytest.fixture(scope="module")
def drifts(container: str, tmp_path_factory: pytest.TempPathFactory) -> list[Drifted]:
    target = f"docker:{container}"
    looked = Subject(container, lambda: open_target(target), replace(truth.container(container), shell=shell_of(container)), lambda: tmp_path_factory.mktemp("scan"))
    return looked.drifts(SEEDS, COUNT)


@pytest.fixture(params=range(len(SEEDS)), ids=[f"seed {seed}" for seed in SEEDS])
def drifted(request: pytest.FixtureRequest, drifts: list[Drifted]) -> Drifted:
    found: Drifted = drifts[request.param]
    return found


def test_the_comparison_finds_everything_that_was_done_and_nothing_else(drifted: Drifted) -> None:
    assert drifted.by_scans() == drifted.by_record()


def test_what_was_done_is_what_is_on_the_disk(drifted: Drifted) -> None:
    assert drifted.by_disk() == {key: fields for key, fields in drifted.by_record().items() if key[0] == "files"}


def test_what_was_done_to_packages_and_accounts_is_what_dpkg_and_getent_say(drifted: Drifted) -> None:
    assert drifted.by_rows() == {key: fields for key, fields in drifted.by_record().items() if key[0] in ("packages", "users")}


def test_every_kind_of_mutation_was_made(drifts: list[Drifted]) -> None:
    made = {mutation.kind for drifted in drifts for mutation in drifted.done.mutations}
    assert KINDS.keys() - made == records.RPM.keys()
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
