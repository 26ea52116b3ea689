"""The pytest plugin's one assertion for the whole chain, as its page shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bench import Bench
from support.project import DOCUMENTED, left, project, run

pytestmark = pytest.mark.e2e


def test_the_migration_of_the_page(bench: Bench, image: int, tmp_path: Path) -> None:
    """With the base disk that `image` left in the cache."""
    [example] = [block for block in DOCUMENTED if "assert_migrates" in block]
    folder = project(tmp_path / "project", example, cache=bench.data / "cache")
    done = run(folder, "test_it.py", timeout=900)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []
