"""What of a tree would not boot, in words."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from builders.errors import BuildFailed
from builders.formats import boot_problems, check_image, convert, sha256, vhd_problems
from builders.image import driver
from builders.spec import FORMATS
from scanner.errors import CommandFailed

KERNEL = "6.1.0-9-amd64"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree that boots."""
    for name, text in {
        f"boot/vmlinuz-{KERNEL}": "kernel",
        f"boot/initrd.img-{KERNEL}": "initial",
        "boot/grub/grub.cfg": f"set timeout=0\nlinux /boot/vmlinuz-{KERNEL} root=UUID=1",
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


@pytest.mark.parametrize("header", ["", "set timeout=-1\n", "# set timeout=0\n"])
def test_a_menu_that_waits_for_a_person_is_a_problem(root: Path, header: str) -> None:
    (root / "boot/grub/grub.cfg").write_text(f"{header}linux /boot/vmlinuz-{KERNEL}")
    assert boot_problems(root) == ["the boot menu waits for a person: it sets no timeout"]


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


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk of 8 MiB, half of it text that compresses."""
    made = tmp_path / "disk.raw"
    made.write_bytes(b"a line of text\n" * 200_000)
    os.truncate(made, 8 << 20)
    return made


@pytest.mark.parametrize(
    ("compression", "compat", "told"),
    [
        ("zstd", "1.1", ("1.1", "zstd")),
        ("zlib", "1.1", ("1.1", "zlib")),
        ("none", "1.1", ("1.1", "zlib")),
        ("zlib", "0.10", ("0.10", "zlib")),
        ("none", "0.10", ("0.10", "zlib")),
    ],
)
def test_a_qcow2_is_compressed_and_as_old_as_it_is_asked_for(disk: Path, tmp_path: Path, compression: str, compat: str, told: tuple[str, str]) -> None:
    convert(disk, "qcow2", tmp_path, compression=compression, compat=compat)
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(tmp_path / "image.qcow2")], capture_output=True, check=True).stdout)
    data = info["format-specific"]["data"]
    assert (data["compat"], data["compression-type"]) == told
    check = json.loads(subprocess.run(["qemu-img", "check", "--output=json", str(tmp_path / "image.qcow2")], capture_output=True, check=True).stdout)
    assert bool(check.get("compressed-clusters")) == (compression != "none")
    subprocess.run(["qemu-img", "compare", "-q", str(disk), str(tmp_path / "image.qcow2")], check=True)


def test_a_raw_image_has_holes_where_there_is_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(os.urandom(1 << 20) + bytes(31 << 20))
    made = convert(disk, "raw", tmp_path)
    assert made.size <= 2 << 20
    assert (tmp_path / "image.raw").stat().st_size == 32 << 20


def test_a_vmdk_is_stream_optimized(disk: Path, tmp_path: Path) -> None:
    convert(disk, "vmdk", tmp_path)
    info = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(tmp_path / "image.vmdk")], capture_output=True, check=True).stdout)
    assert info["format-specific"]["data"]["create-type"] == "streamOptimized"


def test_a_vhd_is_sound_and_its_size_is_whole_mib(disk: Path, tmp_path: Path) -> None:
    convert(disk, "vhd", tmp_path)
    assert vhd_problems(tmp_path / "image.vhd", 8 << 20) == []


@pytest.mark.parametrize(
    ("at", "said"),
    [(-512, "it has no footer"), (0, "the copy of its footer at the beginning is another"), (-512 + 66, "the checksum of its footer is wrong"), (-512 + 50, "its footer tells")],
)
def test_each_way_in_which_a_vhd_is_damaged_is_named(disk: Path, tmp_path: Path, at: int, said: str) -> None:
    convert(disk, "vhd", tmp_path)
    image = tmp_path / "image.vhd"
    data = bytearray(image.read_bytes())
    data[at] ^= 0x55
    image.write_bytes(data)
    assert any(said in problem for problem in vhd_problems(image, 8 << 20))


def test_a_vhd_of_an_odd_size_is_none_that_a_cloud_takes(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes((1 << 20) + 512))
    convert(disk, "vhd", tmp_path)
    assert vhd_problems(tmp_path / "image.vhd", (1 << 20) + 512) == ["its size of 1049088 bytes is not whole MiB"]


@pytest.mark.parametrize("format", ["qcow2", "vdi", "vhd"])
def test_an_image_that_its_own_tool_refuses_is_not_handed_out(disk: Path, tmp_path: Path, format: str) -> None:
    convert(disk, format, tmp_path)
    image = tmp_path / f"image.{format}"
    data = bytearray(image.read_bytes())
    if format == "qcow2":
        data[0x10000:0x10008] = b"\xff" * 8
    elif format == "vdi":
        data[512:520] = b"\xf0\xff\xff\x7f" * 2
    else:
        data[-300] ^= 0x55
    image.write_bytes(data)
    with pytest.raises((BuildFailed, CommandFailed)):
        check_image(image, format, 8 << 20, tmp_path / "work")
    assert not (tmp_path / "work").exists(), "it was looked into before its tool was asked"
