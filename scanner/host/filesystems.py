"""The file systems on a raw disk: where each begins, what it says it is, and which of them holds a system."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scanner.errors import CommandFailed, StepFailed
from scanner.host.loops import SECTOR, loop
from scanner.host.mounts import mounted
from scanner.host.run import run, text

MOUNTABLE = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat"})
READ_ONLY = {"ext3": ("noload",), "ext4": ("noload",), "xfs": ("norecovery", "nouuid"), "btrfs": ("rescue=nologreplay",)}
"""Type -> the mount options that leave the journal alone."""
REFUSED = {
    "LVM2_member": "it is part of LVM, which cannot be read from the host without device-mapper",
    "crypto_LUKS": "it is encrypted (LUKS)",
    "BitLocker": "it is encrypted (BitLocker)",
    "linux_raid_member": "it is part of a RAID, which cannot be read from the host",
}
"""What blkid calls it -> why it cannot be read."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A window of a raw disk. `number` is 0 where the whole disk is one file system; `type` is blkid's name, or empty."""

    disk: Path
    name: str
    """The disk as the guest names it: `vda`."""
    number: int
    offset: int
    length: int | None
    part_uuid: str = ""
    type: str = ""
    uuid: str = ""
    label: str = ""

    @property
    def device(self) -> str:
        """`vda1`, as the guest names it; `vda` for a whole disk."""
        separator = "p" if self.number and self.name[-1:].isdigit() else ""
        return f"{self.name}{separator}{self.number or ''}"

    def named(self, spec: str) -> bool:
        """Whether fstab(5)'s first field means this one."""
        tag, sign, value = spec.partition("=")
        if sign:
            own = {"UUID": self.uuid, "LABEL": self.label, "PARTUUID": self.part_uuid}.get(tag.upper(), "")
            return bool(own) and own.lower() == value.strip('"').lower()
        return spec in (f"/dev/{self.device}", f"/dev/disk/by-uuid/{self.uuid}", f"/dev/disk/by-partuuid/{self.part_uuid}")


def file_systems(disk: Path, name: str) -> list[FileSystem]:
    """What is in each partition of the raw disk (MBR or GPT), or on the whole of it. Source: `sfdisk -J` and `blkid -p`."""
    return [_probed(one) for one in _windows(disk, name)]


def _windows(disk: Path, name: str) -> list[FileSystem]:
    whole = [FileSystem(disk, name, 0, 0, None)]
    if _superblock(disk, 0, None).get("TYPE") in MOUNTABLE:
        return whole
    try:
        table = json.loads(text(["sfdisk", "-J", str(disk)], root=True))["partitiontable"]
    except CommandFailed:
        return whole
    sector = int(table.get("sectorsize", SECTOR))
    return [_window(disk, name, table, part, sector) for part in table.get("partitions", [])]


def _window(disk: Path, name: str, table: dict[str, str], part: dict[str, str], sector: int) -> FileSystem:
    match = re.search(r"(\d+)$", part["node"].removeprefix(str(disk)))
    number = int(match[1]) if match else 0
    part_uuid = part.get("uuid", "") if table["label"] == "gpt" else f"{table.get('id', '').removeprefix('0x')}-{number:02x}"
    return FileSystem(disk, name, number, int(part["start"]) * sector, int(part["size"]) * sector, part_uuid)


def _probed(one: FileSystem) -> FileSystem:
    told = _superblock(one.disk, one.offset, one.length)
    kind, uuid, label = (told.get(key, "") for key in ("TYPE", "UUID", "LABEL"))
    return replace(one, type=kind, uuid=uuid, label=label)


def _superblock(disk: Path, offset: int, length: int | None) -> dict[str, str]:
    size = ["--size", str(length)] if length else []
    done = run(["blkid", "--probe", "--output", "export", "--offset", str(offset), *size, str(disk)], root=True, check=False)
    lines = done.stdout.decode(errors="replace").splitlines()
    return {key: value.replace("\\", "") for key, _, value in (line.partition("=") for line in lines)}


@contextmanager
def opened(one: FileSystem, at: Path, *, replay: bool = False) -> Iterator[Path]:
    """The file system mounted at the folder `at`, which must hold no symlink; read-only, and nothing of it can be run.

    With `replay` the kernel replays the journal, for which the disk must be a view that can be written to. Raises `CommandFailed`
    where the kernel refuses.
    """
    options = ("nouuid",) * (one.type == "xfs") if replay else READ_ONLY.get(one.type, ())
    with loop(one.disk, one.offset, one.length, read_only=not replay) as device:
        with mounted(device, at, ("ro", "nodev", "nosuid", "noexec", *options), type=one.type) as folder:
            yield folder


def root_among(found: Sequence[FileSystem], work: Path) -> list[FileSystem]:
    """Those that hold a system (/etc/os-release or /etc/passwd), the likeliest first. Raises `StepFailed` that says what there is instead."""
    ranks = {one: _rank(one, work / "look") for one in found if one.type in MOUNTABLE}
    chosen = sorted((one for one, rank in ranks.items() if rank), key=lambda one: -ranks[one])
    if not chosen:
        raise StepFailed(f"no system was found on the disks: {told(found)}", hint="start the machine and scan it while it runs")
    return chosen


def told(found: Sequence[FileSystem]) -> str:
    """What lies on the disks, in words."""
    return "; ".join(f"{one.device}: {why_not(one) or one.type}" for one in found) or "they are empty"


def why_not(one: FileSystem) -> str:
    """Why it cannot be read; empty when that has to be tried."""
    if one.type in MOUNTABLE:
        return ""
    return REFUSED.get(one.type) or (f"file system '{one.type}' is not known here" if one.type else "no file system")


def _rank(one: FileSystem, at: Path) -> int:
    try:
        with opened(one, at) as folder:
            names = text(["ls", "-1", "--", str(folder / "etc")], root=True).splitlines()
    except CommandFailed:
        return 0
    return 2 * ("os-release" in names) + ("passwd" in names)
