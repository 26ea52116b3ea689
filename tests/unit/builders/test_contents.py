"""What a base disk's files hold is read once; what was written since is read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import contents
from builders.built import look
from builders.contents import Contents


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[int]:
    folder = tmp_path / "disk"
    folder.mkdir()
    for name in ("kernel", "program"):
        (folder / name).write_text(name)
    descriptor = os.open(folder, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    found: list[bytes] = []
    read = contents._read

    def reading(folder: int, name: bytes) -> str:
        found.append(name)
        return read(folder, name)

    monkeypatch.setattr(contents, "_read", reading)
    return found


def test_what_nobody_wrote_to_is_read_once_whatever_time_it_was_given(disk: int, reads: list[bytes], tmp_path: Path) -> None:
    file, had = tmp_path / "contents.json", os.stat("kernel", dir_fd=disk).st_mtime_ns
    first = Contents.load(file)
    os.utime("kernel", ns=(1, 1), dir_fd=disk)
    told = look(disk, b"kernel", first, had)
    first.save(file)
    assert (told.sha256, reads) == (hashlib.sha256(b"kernel").hexdigest(), [b"kernel"])
    assert look(disk, b"kernel", Contents.load(file), had) == told
    assert reads == [b"kernel"]


def test_what_was_written_since_is_read_again(disk: int, reads: list[bytes], tmp_path: Path) -> None:
    file = tmp_path / "contents.json"
    first = Contents.load(file)
    look(disk, b"program", first)
    first.save(file)
    (tmp_path / "disk/program").write_text("another")
    assert look(disk, b"program", Contents.load(file)).sha256 == hashlib.sha256(b"another").hexdigest()
    assert reads == [b"program", b"program"]


def test_without_a_file_all_is_read_and_a_base_that_was_pruned_keeps_nothing(disk: int, reads: list[bytes], tmp_path: Path) -> None:
    first = Contents.load(None)
    look(disk, b"kernel", first)
    first.save(None)
    first.save(tmp_path / "gone/contents.json")
    assert reads == [b"kernel"] and not (tmp_path / "gone").exists()
