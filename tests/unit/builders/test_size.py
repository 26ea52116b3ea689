"""How large a disk must be, computed from a report and from what is added."""

from __future__ import annotations

import pytest

from builders.size import ADDED_FILES, GENERATED_MIB, RESERVE_MIB, Size, size_of

from .conftest import WriteReport, entry

MIB = 2**20
EMPTY = Size(0, GENERATED_MIB).least


def test_an_empty_system_needs_what_is_added_and_a_reserve(write_report: WriteReport) -> None:
    least = size_of(write_report(), []).least
    assert GENERATED_MIB + RESERVE_MIB < least < (GENERATED_MIB + RESERVE_MIB) * 1.2


@pytest.mark.parametrize(
    ("rows", "mib"),
    [
        ([entry("/a", size=100 * MIB)], 100),
        ([entry("/a", size=100 * MIB, hardlink="/a"), entry("/b", size=100 * MIB, hardlink="/a"), entry("/c", size=100 * MIB, hardlink="/a")], 100),
        ([entry("/a", size=9000 * MIB, extents=[[0, 60 * MIB], [8000 * MIB, 40 * MIB]])], 100),
        ([entry("/a", size=9000 * MIB, extents=[])], 0),
        ([entry("/a", size=100 * MIB, state="missing")], 0),
        ([entry("/a", size=100 * MIB, state="excluded")], 0),
        ([entry(f"/{number:05}", size=1) for number in range(25600)], 100),
        ([entry(f"/{number:05}", "directory") for number in range(25600)], 100),
        ([entry(f"/{number:05}", "symlink", size=30) for number in range(25600)], 0),
        ([entry(f"/{number:06}", "symlink", size=30) for number in range(100000)], (100000 + ADDED_FILES) * 8192 / MIB - EMPTY),
    ],
    ids=["plain", "hardlinks-once", "sparse-by-data", "all-hole", "missing", "excluded", "small-files-by-block", "folders-by-block", "links-for-nothing", "many-links-by-inode"],
)
def test_the_needed_size_counts_what_lands_on_the_disk(write_report: WriteReport, rows: list[object], mib: float) -> None:
    more = size_of(write_report(rows), []).least - size_of(write_report(), []).least
    assert mib - 2 <= more <= mib * 1.06 + 2




def test_what_is_added_counts_by_what_its_packages_declare_and_generate(write_report: WriteReport) -> None:
    size = size_of(write_report([entry("/a", size=10 * MIB)]), [{"Installed-Size": "2048"}, {"Installed-Size": "1000"}, {}])
    assert (size.source, size.added) == (10, 3 + GENERATED_MIB)
    assert size.used == size.source + size.added < size.least


def test_the_images_own_boot_files_are_not_counted_twice(write_report: WriteReport) -> None:
    rows = [entry("/boot/initrd.img-6.1", size=60 * MIB, state="unmanaged"), entry("/boot/vmlinuz-6.1", size=8 * MIB, package="linux-image-6.1")]
    assert size_of(write_report(rows), []).source == 8
