"""The parsers of the real client are what `docs/parity.json` has, by which `forgelet` is held to take all of it (`tests/unit/cli/test_parity.py`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.hammr import ROOT

pytestmark = pytest.mark.hammr


def test_what_is_written_down_is_what_the_client_takes(hammr_folder: Path, tmp_path: Path) -> None:
    told = tmp_path / "parsers.json"
    subprocess.run([str(hammr_folder / "bin/python"), str(ROOT / "scripts/hammr_parsers.py"), str(told)], stdout=subprocess.DEVNULL, check=True)
    assert json.loads(told.read_bytes()) == json.loads((ROOT / "docs/parity.json").read_bytes())
