"""Files that are there whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scanner.host.whole import write_whole


def test_two_writers_at_once_leave_one_whole_file_and_nothing_else(tmp_path: Path) -> None:
    said = ["a" * 100_000, "b" * 100_000]
    with ThreadPoolExecutor(2) as writers:
        for _ in writers.map(lambda number: write_whole(tmp_path / "note", said[number % 2]), range(200)):
            assert (tmp_path / "note").read_text() in said
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "note", "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "note", "after \udcff")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"note": "before"}
