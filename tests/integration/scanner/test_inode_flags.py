"""Inode flags on a real file system. The witness is lsattr."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanner.progress import Silent
from scanner.scan import scan
from scanner.targets import open_target


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """On ext4, whatever the machine's temporary folder is on."""
    disk, mount = tmp_path / "disk", tmp_path / "tree"
    mount.mkdir()
    with disk.open("wb") as out:
        out.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_flags_are_what_lsattr_says(tree: Path, tmp_path: Path) -> None:
    (tree / "folder").mkdir()
    flagged = {"/fixed": "i", "/log": "a", "/folder": "dA", "/plain": ""}
    for name, letters in flagged.items():
        place = tree / name[1:]
        if not place.is_dir():
            place.write_text("x")
        if letters:
            subprocess.run(["chattr", f"+{letters}", str(place)], check=True)
    try:
        entries = {one.path: one for one in scan(open_target(f"directory:{tree}"), tmp_path / "scan", Silent()).files()}
        for name in flagged:
            shown = subprocess.run(["lsattr", "-d", str(tree / name[1:])], check=True, capture_output=True, text=True).stdout.split()[0]
            assert entries[name].flags == shown.replace("-", "").replace("e", ""), name
            assert entries[name].flags == flagged[name]
    finally:
        subprocess.run(["chattr", "-R", "-ia", str(tree)], check=True, capture_output=True)
