"""The parsers of the real client are what `docs/parity.json` has, by which `forgelet` is held to take all of it (`tests/unit/cli/test_parity.py`);
and each of its sub-commands and options, in each of their spellings, was run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.hammr import COMMANDS, ROOT

pytestmark = pytest.mark.hammr


def test_what_is_written_down_is_what_the_client_takes(hammr_folder: Path, tmp_path: Path) -> None:
    told = tmp_path / "parsers.json"
    subprocess.run([str(hammr_folder / "bin/python"), str(ROOT / "scripts/hammr_parsers.py"), str(told)], stdout=subprocess.DEVNULL, check=True)
    assert json.loads(told.read_bytes()) == json.loads((ROOT / "docs/parity.json").read_bytes())


@pytest.mark.last
def test_every_sub_command_and_option_was_run(journal: Path) -> None:
    parsers = json.loads((ROOT / "docs/parity.json").read_bytes())
    known = {(noun, verb, name) for noun, verbs in parsers.items() for verb, options in verbs.items() for name in ["", *(name for one in options for name in one["names"])]}
    lines = [json.loads(line) for line in (journal / COMMANDS).read_text().splitlines()] if (journal / COMMANDS).exists() else []
    # A part of the tests has no need of all.
    if {one["test"] for one in lines} >= _files():
        assert known - {pair for one in lines for pair in _run(one["command"], one["options"], known)} == set()


def _files() -> set[str]:
    """The test files in which hammr is run."""
    return {path.name for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).name, "test_bindings.py"}


def _run(command: list[str], options: list[str], known: set[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    """Options of hammr itself may stand anywhere, and no sub-command has one of their names."""
    noun, verb = (["", "", *command])[-2:]
    return {(noun, verb, "")} | {("", "", name) if ("", "", name) in known else (noun, verb, name) for name in options}
