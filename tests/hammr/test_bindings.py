"""The contract: every XML answer that any test of the run got is parsed by the real client's own bindings, not only by our codec.

Comes last of the whole run (`tests/conftest.py`).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.hammr, pytest.mark.last]


def test_every_answer_of_the_run_is_read_by_the_clients_own_bindings(journal: Path, hammr_folder: Path) -> None:
    files = [str(path) for path in sorted(journal.glob("*.ndjson"))]
    script = Path(__file__).with_name("parse_answers.py")
    done = subprocess.run([str(hammr_folder / "bin/python"), str(script), *files], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["refused"] == []
    assert {"serviceStatus", "user", "uforgeError"} <= set(told["roots"]), "hardly anything was recorded"
