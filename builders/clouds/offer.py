"""An image as it is offered to a cloud: which file, what the scheduler wants to know, where it comes from. Checked here, since clouds do not.

Glance takes a qcow2 that is declared raw, and Nova refuses a disk whose MBR has no partitions only when it boots it.
Property names: Glance's *Useful image properties* and Nova's `hw_*` metadata definitions.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from builders.clouds.base import Offer
from builders.errors import BuildFailed
from builders.image import Image, ImageFile, driver
from scanner.errors import CommandFailed
from scanner.host.run import run
from scanner.report import ScanReport

GIB = 2**30
PREFERRED = ("qcow2", "raw", "vmdk", "vhd", "vdi")
MAGIC = {"qcow2": b"QFI\xfb", "vmdk": b"KDMV", "vdi": b"<<< "}
"""How a file of a format begins. Source: QEMU's `docs/interop`, the VMDK and VDI headers; raw has none, VHD's is at its end."""
FOOTER = b"conectix"
"""How the last 512 bytes of a VHD begin. Source: Microsoft's *Virtual Hard Disk Image Format Specification*."""


def offer_of(folder: Path, name: str, *, public: bool, source: ScanReport | None) -> Offer:
    """The image in `folder` as offered under `name`. Raises `BuildFailed` when the file is not what its record says."""
    image = Image.load(folder)
    file = min(image.files, key=lambda one: PREFERRED.index(one.format))
    check(folder / file.name, file)
    return Offer(
        name=name,
        file=folder / file.name,
        format=file.format,
        sha256=file.sha256,
        min_disk=-(-image.virtual_size // GIB),
        min_ram=image.memory,
        public=public,
        properties=_properties(image, file, source),
    )


def check(path: Path, file: ImageFile) -> None:
    """The format is the declared one, and the disk has a partition table with partitions. Raises `BuildFailed`."""
    hint = "build the image again"
    found = _format(path)
    if found != (file.format if file.format in (*MAGIC, "vhd") else "raw"):
        raise BuildFailed(f"{file.name} is not the {file.format} file that was built", hint=hint)
    sector = _first_sector(path, file.format)
    if len(sector) < 512 or sector[510:512] != b"\x55\xaa" or not any(sector[446 + 16 * number + 4] for number in range(4)):
        raise BuildFailed(f"{file.name} has no partition table with partitions: Nova would refuse it", hint=hint)


def _format(path: Path) -> str:
    """What the file says that it is; `raw` when it says nothing."""
    with path.open("rb") as disk:
        begin = disk.read(64)
        disk.seek(max(0, path.stat().st_size - 512))
        end = disk.read(len(FOOTER))
    return next((format for format, magic in MAGIC.items() if begin.startswith(magic)), "vhd" if end == FOOTER else "raw")


def _first_sector(path: Path, format: str) -> bytes:
    """Raises `BuildFailed` when it cannot be read as that format."""
    if format == "raw":
        with path.open("rb") as disk:
            return disk.read(512)
    with TemporaryDirectory() as folder:
        first = Path(folder) / "sector"
        try:
            run(["qemu-img", "dd", "-f", driver(format), "-O", "raw", "bs=512", "count=1", f"if={path}", f"of={first}"])
        except CommandFailed as error:
            raise BuildFailed(f"{path.name} cannot be read as {format}: {error.message}", hint="build the image again") from error
        return first.read_bytes()


def _properties(image: Image, file: ImageFile, source: ScanReport | None) -> dict[str, str]:
    system = source.system if source else None
    found = {
        "architecture": (system.arch if system else "") or "x86_64",
        "os_type": "linux",
        "os_distro": system.distribution.lower() if system else "",
        "os_version": system.version if system else "",
        "hw_disk_bus": "virtio",
        "hw_vif_model": "virtio",
        "hw_qemu_guest_agent": "yes",
        "forgelet_version": version("forgelet"),
        "forgelet_sha256": file.sha256,
        "forgelet_source": str(image.provenance.get("source", "")),
        "forgelet_scan_digest": str(image.provenance.get("scan_digest", "")),
        "forgelet_base": str(image.provenance.get("base", "")),
    }
    return {key: value[:255] for key, value in found.items() if value}
