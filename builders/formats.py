"""Image formats: from the finished raw disk to the files that were asked for, and the checks on each."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from builders.errors import BuildFailed
from builders.image import ImageFile, driver
from scanner.host.disks import root_of
from scanner.host.loops import loop, partitions
from scanner.host.run import run, text

_CONVERT = {
    "raw": ["-S", "4k"],
    "vmdk": ["-o", "subformat=streamOptimized"],
    # Without it qemu rounds the size up to whole cylinders of a made-up geometry.
    "vhd": ["-o", "force_size=on"],
    "vdi": [],
}
_CHECKED = ("qcow2", "vmdk", "vdi")
"""Formats that `qemu-img check` knows."""
VHD_FOOTER = 512
VHD_ALIGNED = 2**20
"""Clouds take a VHD only when its size is whole MiB."""


def convert(disk: Path, format: str, into: Path, *, compression: str = "zstd", compat: str = "1.1") -> ImageFile:
    """Write `image.FORMAT` into the folder `into`; `compression` and `compat` are a qcow2's."""
    target = into / f"image.{format}"
    # A stream is written in order.
    parallel = [] if format == "vmdk" else ["-W", "-m", "4"]
    options = _qcow2(compression, compat) if format == "qcow2" else _CONVERT[format]
    run(["qemu-img", "convert", *parallel, "-f", "raw", "-O", driver(format), *options, str(disk), str(target)])
    return ImageFile(format=format, name=target.name, size=target.stat().st_blocks * 512, sha256=sha256(target))


def _qcow2(compression: str, compat: str) -> list[str]:
    # An old qcow2 has no field for the kind of compression: it is always zlib.
    kind = f",compression_type={compression}" if compat != "0.10" and compression != "none" else ""
    return [*(["-c"] if compression != "none" else []), "-o", f"compat={compat}{kind}"]


def sha256(path: Path) -> str:
    """sha256 of a file's contents, hex."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def check_file_system(disk: Path) -> None:
    """The root file system of a raw disk is clean (`e2fsck -fn`). Raises `BuildFailed`."""
    offset, length = partitions(disk)[0]
    with loop(disk, offset, length, read_only=True) as device:
        done = run(["e2fsck", "-fn", str(device)], root=True, check=False)
    if done.returncode:
        raise BuildFailed(f"the file system of the image is damaged: {done.stdout.decode(errors='replace').strip()[-300:]}")


def check_image(image: Path, format: str, virtual_size: int, work: Path) -> None:
    """Re-read the finished file: size, partition table, kernel, initramfs and bootloader. Raises `BuildFailed` naming what is wrong."""
    told = json.loads(text(["qemu-img", "info", "--output=json", "-f", driver(format), str(image)]))
    if told["virtual-size"] != virtual_size:
        raise BuildFailed(f"{image.name} has {told['virtual-size']} bytes, not the {virtual_size} asked for")
    if format in _CHECKED:
        run(["qemu-img", "check", "-q", "-f", format, str(image)])
    if format == "raw":
        run(["sfdisk", "--verify", "--quiet", str(image)])
    if format == "vhd" and (wrong := vhd_problems(image, virtual_size)):
        raise BuildFailed(f"{image.name} is no VHD that a cloud takes: {'; '.join(wrong)}")
    work.mkdir(parents=True, exist_ok=True)
    with root_of(image, driver(format), work) as root:
        problems = boot_problems(root)
    if problems:
        raise BuildFailed(f"{image.name} would not boot: {'; '.join(problems)}")


def vhd_problems(image: Path, virtual_size: int) -> list[str]:
    """What is wrong with a VHD, in words; qemu-img has no check for it. Source: Virtual Hard Disk Image Format Specification 1.0, footer."""
    with image.open("rb") as data:
        head = data.read(VHD_FOOTER)
        data.seek(-VHD_FOOTER, 2)
        footer = data.read(VHD_FOOTER)
    size, checksum = int.from_bytes(footer[48:56], "big"), int.from_bytes(footer[64:68], "big")
    added = ~sum(footer[:64] + footer[68:]) & 0xFFFFFFFF
    problems = [] if footer[:8] == b"conectix" else ["it has no footer"]
    problems += [] if head == footer else ["the copy of its footer at the beginning is another"]
    problems += [] if checksum == added else ["the checksum of its footer is wrong"]
    problems += [] if size == virtual_size else [f"its footer tells {size} bytes, not {virtual_size}"]
    return problems + ([f"its size of {size} bytes is not whole MiB"] if size % VHD_ALIGNED else [])


def boot_problems(root: Path) -> list[str]:
    """What the tree lacks to boot by BIOS and GRUB, in words."""
    kernels = sorted(root.glob("boot/vmlinuz-*"))
    config = root / "boot/grub/grub.cfg"
    problems = [] if kernels else ["no kernel in /boot"]
    problems += [f"no initramfs for {k.name}" for k in kernels if not (k.parent / k.name.replace("vmlinuz", "initrd.img")).exists()]
    if not config.exists():
        return [*problems, "no /boot/grub/grub.cfg"]
    menu = config.read_text(errors="replace")
    problems += [f"the boot menu does not name {k.name}" for k in kernels if k.name not in menu]
    problems += [] if re.search(r"^\s*set timeout=\d", menu, re.M) else ["the boot menu waits for a person: it sets no timeout"]
    problems += [] if (root / "boot/grub/i386-pc/core.img").exists() else ["GRUB is not installed for BIOS"]
    problems += [] if (root / "sbin/init").is_symlink() or (root / "usr/sbin/init").exists() else ["no init"]
    return problems
