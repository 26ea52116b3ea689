"""The source's inode flags on the copy, as the build sets them: by a process of its own, on a mounted ext4. The witness is lsattr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanner.compare import compare_files
from scanner.progress import Silent
from scanner.report import Report
from scanner.scan import scan
from scanner.targets import open_target

pytestmark = pytest.mark.dib

FLAGGED = {"fixed": "i", "log": "a", "folder": "dA", "folder/deep": "Si", "sealed": "i", "caf\udce9": "d"}
PLAIN = ("plain", "sealed/inside")


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Source and copy, on ext4 whatever the temporary folder is on; the same but for the flags."""
    made = []
    try:
        for name in ("source", "copy"):
            disk, mount = tmp_path / f"{name}.raw", tmp_path / name
            mount.mkdir()
            with disk.open("wb") as out:
                out.truncate(16 << 20)
            subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
            subprocess.run(["mount", "-o", "loop", str(disk), str(mount)], check=True)
            made.append(mount)
            for folder in ("folder", "sealed"):
                (mount / folder).mkdir()
            for path in (*FLAGGED, *PLAIN):
                if not (mount / path).is_dir():
                    (mount / path).write_text("x")
            (mount / "link").symlink_to("plain")
            for path in sorted(mount.rglob("*"), reverse=True):
                os.utime(path, ns=(1, 1), follow_symlinks=False)
            os.utime(mount, ns=(1, 1))
        yield made[0], made[1]
    finally:
        for mount in made:
            subprocess.run(["chattr", "-R", "-ia", str(mount)], check=False, capture_output=True)
            subprocess.run(["umount", str(mount)], check=True)


def lsattr(root: Path) -> dict[str, str]:
    """Path -> letters, of what lsattr shows."""
    said = subprocess.run(["find", ".", "!", "-type", "l", "-exec", "lsattr", "-d", "{}", "+"], cwd=root, check=True, capture_output=True).stdout
    lines = [line.split(b" ", 1) for line in said.splitlines()]
    return {os.fsdecode(path): flags.decode().replace("-", "").replace("e", "") for flags, path in lines}


def report_of(root: Path, into: Path) -> Report:
    return scan(open_target(f"directory:{root}"), into, Silent())


def run(root: Path, report: Report) -> dict[str, Any]:
    argv = [sys.executable, "-m", "builders.inodeflags", str(root), str(report.folder)]
    told: dict[str, Any] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return told


def flag(root: Path) -> None:
    for path, letters in FLAGGED.items():
        subprocess.run(["chattr", f"+{letters}", os.fsencode(root / path)], check=True)


def test_the_copy_has_exactly_the_sources_flags(disks: tuple[Path, Path], tmp_path: Path) -> None:
    source, copy = disks
    flag(source)
    report = report_of(source, tmp_path / "scan")
    assert run(copy, report) == {"set": len(FLAGGED), "refused": []}
    assert lsattr(copy) == lsattr(source)
    assert {path: letters for path, letters in lsattr(copy).items() if letters} == {f"./{path}": letters for path, letters in FLAGGED.items()} | {
        "./folder/deep": lsattr(source)["./folder/deep"]
    }
    after = report_of(copy, tmp_path / "after")
    assert [one.path for one in compare_files(report, after) if one.path != "/lost+found"] == []
    with pytest.raises(PermissionError):
        (copy / "fixed").write_text("y")


def test_a_second_time_changes_nothing_and_what_is_gone_is_passed_over(disks: tuple[Path, Path], tmp_path: Path) -> None:
    source, copy = disks
    flag(source)
    report = report_of(source, tmp_path / "scan")
    (copy / "log").unlink()
    (copy / "log").symlink_to("plain")
    (copy / "fixed").unlink()
    for _ in range(2):
        assert run(copy, report) == {"set": len(FLAGGED) - 2, "refused": []}
    assert lsattr(copy)["./plain"] == ""


def test_a_file_system_without_flags_is_told_and_is_no_failure(disks: tuple[Path, Path], tmp_path: Path) -> None:
    source, _ = disks
    flag(source)
    report = report_of(source, tmp_path / "scan")
    bare = tmp_path / "bare"
    bare.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", str(bare)], check=True)
    try:
        (bare / "fixed").write_text("x")
        told = run(bare, report)
        assert (told["set"], [line.partition(":")[0] for line in told["refused"]]) == (0, ["/fixed i"])
    finally:
        subprocess.run(["umount", str(bare)], check=True)
