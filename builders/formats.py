"""Image formats: from the finished raw disk to the files that were asked for, and the checks on each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from builders.errors import BuildFailed
from builders.image import ImageFile, driver
from scanner.host.disks import root_of
from scanner.host.loops import loop, partitions
from scanner.host.run import run, text

_CONVERT = {
    "qcow2": ["-c", "-o", "compression_type=zstd"],
    "raw": ["-S", "4k"],
    "vmdk": ["-o", "subformat=streamOptimized"],
    # Without it qemu rounds the size up to whole cylinders of a made-up geometry.
    "vhd": ["-o", "force_size=on"],
    "vdi": [],
}


def convert(disk: Path, format: str, into: Path) -> ImageFile:
    """Write `image.FORMAT` into the folder `into`."""
    target = into / f"image.{format}"
    # A stream is written in order.
    parallel = [] if format == "vmdk" else ["-W", "-m", "4"]
    run(["qemu-img", "convert", *parallel, "-f", "raw", "-O", driver(format), *_CONVERT[format], str(disk), str(target)])
    return ImageFile(format=format, name=target.name, size=target.stat().st_blocks * 512, sha256=sha256(target))


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
    if format == "qcow2":
        run(["qemu-img", "check", "-q", "-f", format, str(image)])
    work.mkdir(parents=True, exist_ok=True)
    with root_of(image, driver(format), work) as root:
        problems = boot_problems(root)
    if problems:
        raise BuildFailed(f"{image.name} would not boot: {'; '.join(problems)}")


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
    problems += [] if (root / "boot/grub/i386-pc/core.img").exists() else ["GRUB is not installed for BIOS"]
    problems += [] if (root / "sbin/init").is_symlink() or (root / "usr/sbin/init").exists() else ["no init"]
    return problems
