"""Holes: made and filled on real files, with the kernel's own SEEK_HOLE as the witness."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.holes import data_ranges

from builders import holes
from builders.holes import gaps

BLOCK = 4096
MIB = 2**20


def sparse(place: Path, size: int, *islands: tuple[int, bytes]) -> Path:
    with place.open("wb") as out:
        out.truncate(size)
        for offset, data in islands:
            out.seek(offset)
            out.write(data)
    return place


def match(place: Path, extents: list[list[int]] | None) -> None:
    holes.match(str(place), place.stat(), extents)


def test_a_full_file_gets_the_sources_holes_and_keeps_its_contents(tmp_path: Path) -> None:
    content = bytes(MIB) + b"x" * BLOCK + bytes(2 * MIB) + b"y" * BLOCK
    place = tmp_path / "file"
    place.write_bytes(content)
    assert data_ranges(place) == [(0, len(content))]
    match(place, [[MIB, BLOCK], [3 * MIB + BLOCK, BLOCK]])
    assert data_ranges(place) == [(MIB, MIB + BLOCK), (3 * MIB + BLOCK, len(content))]
    assert place.read_bytes() == content


def test_a_file_that_is_one_hole_becomes_one(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_bytes(bytes(MIB))
    match(place, [])
    assert data_ranges(place) == []
    assert place.stat().st_blocks == 0
    assert place.stat().st_size == MIB


def test_a_hole_that_the_source_had_not_is_filled_with_written_zeros(tmp_path: Path) -> None:
    place = sparse(tmp_path / "file", 5 * MIB + 17, (2 * MIB, b"island"), (4 * MIB, b"x" * BLOCK))
    content = place.read_bytes()
    assert len(data_ranges(place)) == 2
    match(place, None)
    assert data_ranges(place) == [(0, 5 * MIB + 17)]
    assert place.read_bytes() == content


def test_a_whole_hole_is_filled(tmp_path: Path) -> None:
    place = sparse(tmp_path / "file", 3 * MIB)
    match(place, None)
    assert data_ranges(place) == [(0, 3 * MIB)]
    assert not any(place.read_bytes())


def test_data_is_never_punched_away_even_one_byte_of_it(tmp_path: Path) -> None:
    place = tmp_path / "file"
    content = bytes(3 * MIB - 1) + b"x"
    place.write_bytes(content)
    match(place, [])
    assert place.read_bytes() == content


def test_a_zero_range_is_punched_where_another_has_data(tmp_path: Path) -> None:
    place = tmp_path / "file"
    content = bytes(MIB) + b"x" * MIB + b"y" * MIB + bytes(MIB)
    place.write_bytes(content)
    match(place, [[MIB, MIB]])
    assert place.read_bytes() == content
    assert data_ranges(place) == [(MIB, 4 * MIB)]


def test_a_file_that_is_as_the_sources_is_not_written(tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.write_bytes(b"x" * MIB)
    os.utime(full, ns=(5, 5))
    match(full, None)
    assert full.stat().st_mtime_ns == 5
    with_holes = sparse(tmp_path / "sparse", MIB, (0, b"x" * BLOCK))
    os.utime(with_holes, ns=(5, 5))
    match(with_holes, [[0, BLOCK]])
    assert data_ranges(with_holes) == [(0, BLOCK)]


def test_an_odd_name_is_a_name(tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/-caf\xe9 \n"))
    place.write_bytes(bytes(MIB))
    match(place, [])
    assert place.stat().st_blocks == 0


@pytest.mark.parametrize(
    ("size", "extents", "between"),
    [
        (10, [], [(0, 10)]),
        (10, [[0, 10]], []),
        (10, [[0, 4], [6, 4]], [(4, 6)]),
        (10, [[2, 2], [4, 2]], [(0, 2), (6, 10)]),
        (0, [], []),
        (10, [[0, 12]], []),
    ],
)
def test_gaps_are_what_lies_between_the_data(size: int, extents: list[list[int]], between: list[tuple[int, int]]) -> None:
    assert gaps(size, extents) == between


@settings(deadline=None)
@given(st.integers(0, 60), st.sets(st.integers(0, 59)))
def test_gaps_and_data_make_the_whole_file_once(size: int, filled: set[int]) -> None:
    filled = {one for one in filled if one < size}
    extents = [[one, 1] for one in sorted(filled)]
    holes_ = [byte for start, end in gaps(size, extents) for byte in range(start, end)]
    assert sorted([*holes_, *filled]) == list(range(size))
