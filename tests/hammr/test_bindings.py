"""The contract: every XML answer that any test of the run got is parsed by the real client's own bindings, not only by our codec.

Comes last of the whole run (`tests/conftest.py`).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.hammr, pytest.mark.last]


def test_every_answer_of_the_run_is_read_by_the_clients_own_bindings(journal: Path, hammr_folder: Path) -> None:
    files = [str(path) for path in sorted(journal.glob("*.ndjson"))]
    script = Path(__file__).with_name("parse_answers.py")
    done = subprocess.run([str(hammr_folder / "bin/python"), str(script), *files], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["refused"] == []
    assert sum(told["roots"].values()) == told["answers"]
    lacking = proven() - set(told["roots"])
    # A part of the tests has no need of all kinds.
    assert len(lacking) <= len(proven()) / 4, f"hardly anything was recorded: no answer of the kinds {sorted(lacking)}"


def proven() -> set[str]:
    """The elements that the real client was answered in a whole run: nothing but answers that were written down says so."""
    calls = zip(json.loads((ROOT / "tests/support/endpoints.json").read_text()), json.loads((ROOT / "docs/evidence.json").read_text()), strict=True)
    told = {call["response"].partition(" ")[0] for call, found in calls if found["evidence"] == "hammr"}
    return {one for one in told if one.isalnum()} - {"binary"} | {"uforgeError"}
