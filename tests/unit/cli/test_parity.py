"""`forgelet` takes every noun, verb and option of hammr 3.8.13, as that client's own parsers were written down."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def parity() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity", ROOT / "scripts/parity.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_nothing_of_hammr_is_missing(parity: ModuleType) -> None:
    found = parity.kept()
    assert len(found) == 13 and sum(map(len, found.values())) > 40
    assert parity.missing(found) == []


def test_what_is_missing_is_named(parity: ModuleType) -> None:
    found = parity.kept()
    option = {"names": ["--never"], "required": False, "values": "one", "help": ""}
    (lack,) = parity.missing({"scan": {"list": [*found["scan"]["list"], option]}})
    assert lack.startswith("hammr scan list --never: No such option")
    assert len(parity.missing({"scan": {"never": []}, "never": {"list": []}})) == 2


def test_the_page_is_made_of_what_was_written_down(parity: ModuleType) -> None:
    assert (ROOT / "docs/parity.md").read_text() == parity.page(parity.kept()), "scripts/parity.py --only-page"
