"""What the kernel says is there, and a disk image made without any of our own code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support import devices

MIB = 2**20


def said(*argv: str | Path) -> str:
    return subprocess.run([*argv], capture_output=True, check=True, text=True).stdout


def attached(place: Path) -> list[str]:
    """Loop devices on the file `place` or on what lies below it."""
    return [row["name"] for row in devices.attached(place)]


def mounted_below(folder: Path) -> list[str]:
    """Mount points at or below `folder`, as findmnt has them."""
    points = said("findmnt", "--noheadings", "--list", "--output", "TARGET").splitlines()
    return [point for point in points if (point.strip() + "/").startswith(f"{folder}/")]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A raw disk with two partitions, the first an ext4 that holds a system with the file `hello`."""
    contents = tmp_path / "contents"
    contents.mkdir()
    (contents / "hello").write_text("hello\n")
    (contents / "etc").mkdir()
    (contents / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as out:
        out.truncate(64 * MIB)
    table = "label: dos\nunit: sectors\n\nstart=2048, size=65536, type=83\nstart=67584, type=83\n"
    subprocess.run(["sfdisk", "--quiet", "--no-tell-kernel", disk], input=table.encode(), check=True)
    said("mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", "-d", contents, disk, "32M")
    return disk
