"""The corpus: its cases name systems that there are, and the table tells what came of each run, or that there was none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corpus import cases as module
from corpus.cases import SCOPES, cases, record, table
from emulator.lab.system import system_names

GOOD = {
    "date": "2026-01-02 03:04",
    "distribution": "Debian 12",
    "scopes": {scope: {"equal": 10, "explained": 2, "unexplained": 0} for scope in SCOPES},
    "unexplained": 0,
    "probes": [True, True],
}


def test_every_case_is_of_a_system_that_the_lab_has_or_of_another_case() -> None:
    listed = {one.name: one for one in cases([])}
    for one in listed.values():
        assert one.system in system_names() if one.route != "libvirt" else listed[one.of].route == "docker", one.name
        assert not one.drift or one.drift.keys() == {"seed", "count"}
        assert not one.probes or one.route == "docker"


def test_the_corpus_has_all_routes_and_releases_and_at_least_six_systems() -> None:
    listed = cases([])
    assert len(listed) >= 6
    assert {one.route for one in listed} == {"docker", "ssh", "libvirt"}
    assert {one.system[:8] for one in listed} >= {"debian11", "debian12", "debian13"}


def test_a_case_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match="there is no case nothing; there are web12-docker"):
        cases(["nothing"])


def test_a_run_is_written_down_beside_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOCS", tmp_path)
    first, second, *_ = cases([])
    record(first, GOOD)
    record(second, {"date": "2026-01-03 00:00", "error": "forgelet scan build ended with 5"})
    assert json.loads((tmp_path / "corpus.json").read_bytes()).keys() == {first.name, second.name}
    rows = [line for line in (tmp_path / "corpus.md").read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) == len(cases([]))
    assert "2026-01-02 03:04 | Debian 12 | 10 / 2 / 0 | 10 / 2 / 0 | 10 / 2 / 0 | 10 / 2 / 0 | 2 of 2 equal | **0** |" in rows[0]
    assert "failed: forgelet scan build ended with 5" in rows[1]
    assert all("never run" in row for row in rows[2:])


def test_the_page_of_the_docs_is_what_the_records_say() -> None:
    known: dict[str, Any] = json.loads((module.DOCS / "corpus.json").read_bytes())
    assert (module.DOCS / "corpus.md").read_text() == table(known)
