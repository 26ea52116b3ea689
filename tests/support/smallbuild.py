"""A build of a machine of a few files: everything but diskimage-builder is the real thing (loops, mounts, the last pass as root, qemu).

The base disk is made here by mke2fs from a fabricated tree that has what the checks of an image look for.
`python -m support.smallbuild PLACE WHERE` builds in PLACE and kills itself at the stage, or inside the step, WHERE.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from builders import base, formats
from builders.dib import BaseRequest
from builders.image import Image
from builders.plan import BuildPlan
from builders.platforms import openstack
from builders.platforms.openstack import Making, make
from scanner.progress import Silent

DISK = 64
"""MiB"""
STAGES = ("plan", "base", "last-pass", "convert", "check")
INSIDE = ("last-pass mounted", "flags mounted", "check mounted", "base copying")


def make_base(tree: Path, disk: Path, filesystem: str) -> None:
    """One partition over the whole disk, filled from the tree."""
    with disk.open("wb") as out:
        out.truncate(DISK << 20)
    subprocess.run(["sfdisk", "-q", str(disk)], input=b"label: dos\nlabel-id: 0x1234abcd\nstart=2048, type=83, bootable\n", check=True)
    size = f"{(DISK - 1) << 10}k"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-I", "256", "-U", filesystem, "-d", str(tree), "-E", f"offset={1 << 20}", str(disk), size], check=True)


def played(place: Path) -> Callable[[BaseRequest, Path, Path, object], None]:
    """In the place of diskimage-builder: the disk `place/base.raw`."""

    def play(request: BaseRequest, into: Path, work: Path, log: object) -> None:
        shutil.copyfile(place / "base.raw", into / "disk.raw")
        (into / "dpkg.log").write_text("installed\n")

    return play


def build(place: Path, *, into: Path | None = None, at: Killer | None = None, formats: tuple[str, ...] = ("qcow2",)) -> Image:
    """Build `place/plan.json` of the scan `place/scan` by the base `place/base.raw`; in `into` (`place` unless given) the image and `work`."""
    base.build_base = played(place)  # type: ignore[assignment]
    plan = BuildPlan.model_validate_json((place / "plan.json").read_bytes()).model_copy(update={"formats": list(formats)})
    image, work = (into or place) / "image", (into or place) / "work"
    for folder in (work, image):
        folder.mkdir(exist_ok=True)
    return make(Making(place / "scan", lambda: plan), image, work, place / "cache", at or Silent())


class Killer(Silent):
    """Progress that ends this process at a stage, or inside a step."""

    def __init__(self, where: str) -> None:
        self.where = where

    def stage(self, name: str, message: str = "") -> None:
        if name == self.where:
            die()

    def arm(self) -> None:
        """Inside a step: while its file system is mounted, or while the base is on its way into the cache."""
        if self.where == "last-pass mounted":
            openstack.added_packages = lambda *about: die()  # type: ignore[assignment]
        elif self.where == "flags mounted":
            openstack.set_flags = _while_mounted  # type: ignore[assignment]
            openstack.last_pass = lambda *about: {"flagged": 1}  # type: ignore[assignment]
        elif self.where == "check mounted":
            formats.boot_problems = lambda root: die()  # type: ignore[assignment]
        elif self.where == "base copying":
            base._write = lambda path, facts: die()  # type: ignore[assignment]


def _while_mounted(disk: Path, scan: Path, work: Path) -> None:
    with openstack.root_of(disk, "raw", work, writable=True) as root:
        (root / "half-written").write_bytes(b"x" * 100000)
        die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def small_disk(at: Path, mib: int) -> Iterator[Path]:
    """A file system of so many MiB at the folder."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


if __name__ == "__main__":
    killer = Killer(sys.argv[2])
    killer.arm()
    build(Path(sys.argv[1]), at=killer)
