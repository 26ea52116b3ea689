"""What of a tree would not boot, in words."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from builders.formats import boot_problems, convert, sha256
from builders.image import driver
from builders.spec import FORMATS

KERNEL = "6.1.0-9-amd64"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree that boots."""
    for name, text in {
        f"boot/vmlinuz-{KERNEL}": "kernel",
        f"boot/initrd.img-{KERNEL}": "initial",
        "boot/grub/grub.cfg": f"linux /boot/vmlinuz-{KERNEL} root=UUID=1",
        "boot/grub/i386-pc/core.img": "core",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "sbin").symlink_to("usr/sbin")
    (tmp_path / "usr/sbin/init").symlink_to("/lib/systemd/systemd")
    return tmp_path


def test_a_whole_tree_has_no_problem(root: Path) -> None:
    assert boot_problems(root) == []


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (f"boot/vmlinuz-{KERNEL}", ["no kernel in /boot"]),
        (f"boot/initrd.img-{KERNEL}", [f"no initramfs for vmlinuz-{KERNEL}"]),
        ("boot/grub/grub.cfg", ["no /boot/grub/grub.cfg"]),
        ("boot/grub/i386-pc/core.img", ["GRUB is not installed for BIOS"]),
        ("usr/sbin/init", ["no init"]),
    ],
)
def test_each_part_that_is_missing_is_named(root: Path, lost: str, said: list[str]) -> None:
    (root / lost).unlink()
    assert boot_problems(root) == said


def test_every_kernel_needs_its_own_initramfs_and_place_in_the_menu(root: Path) -> None:
    (root / "boot/vmlinuz-6.9.0-1-amd64").write_text("newer")
    assert boot_problems(root) == ["no initramfs for vmlinuz-6.9.0-1-amd64", "the boot menu does not name vmlinuz-6.9.0-1-amd64"]


def test_an_empty_tree_lacks_everything(tmp_path: Path) -> None:
    assert boot_problems(tmp_path) == ["no kernel in /boot", "no /boot/grub/grub.cfg"]


def test_the_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 3_000_000)
    assert sha256(tmp_path / "x") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_holds_the_same_disk_at_its_exact_size(format: str, tmp_path: Path) -> None:
    # Neither a multiple of a cylinder nor of a grain of any of the formats.
    disk, size = tmp_path / "disk.raw", (5 << 20) + (1 << 19)
    disk.write_bytes(os.urandom(1 << 20))
    os.truncate(disk, size)
    made = convert(disk, format, tmp_path)
    info = ["qemu-img", "info", "--output=json", "-f", driver(format), str(tmp_path / made.name)]
    assert json.loads(subprocess.run(info, capture_output=True, check=True).stdout)["virtual-size"] == size
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", driver(format), str(disk), str(tmp_path / made.name)], check=True)
    assert made.sha256 == sha256(tmp_path / f"image.{format}")
