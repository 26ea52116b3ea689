"""Loop devices: a window of a disk file as a block device, always given back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scanner.errors import StepFailed
from scanner.host.run import run, text

SECTOR = 512


def partitions(disk: Path) -> list[tuple[int, int]]:
    """Offset and length in bytes of each partition of a raw disk. Raises `StepFailed` when it has no partition table.

    Source: `sfdisk -J`, whose numbers are sectors of `sectorsize` bytes.
    """
    table = json.loads(text(["sfdisk", "-J", str(disk)], root=True))["partitiontable"]
    sector = int(table.get("sectorsize", SECTOR))
    found = [(part["start"] * sector, part["size"] * sector) for part in table.get("partitions", [])]
    if not found:
        raise StepFailed(f"{disk.name} has a partition table without partitions")
    return found


@contextmanager
def loop(disk: Path, offset: int = 0, length: int | None = None, *, read_only: bool = False) -> Iterator[Path]:
    """A loop device on `length` bytes of `disk` from `offset` on; detached when the block is left."""
    limit = ["--sizelimit", str(length)] if length else []
    mode = ["--read-only"] if read_only else []
    device = text(["losetup", "--show", "-f", *mode, "--offset", str(offset), *limit, str(disk)], root=True)
    try:
        yield Path(device)
    finally:
        run(["losetup", "-d", device], root=True)


def backed_by(folder: Path) -> list[str]:
    """Loop devices whose backing file lies (or lay) below `folder`."""
    rows = json.loads(text(["losetup", "-J", "--list", "-O", "NAME,BACK-FILE"], root=True) or '{"loopdevices": []}')
    below = f"{folder.resolve()}/"
    return [row["name"] for row in rows["loopdevices"] if (row["back-file"] or "").startswith(below)]


def attachment(device: str) -> str:
    """Which attachment of this device it is, so that a later one by somebody else is told apart; "" when nothing is attached.

    Source: /sys/block/NAME/diskseq (sysfs-block), which every kernel from 5.15 on has.
    """
    folder = Path("/sys/block") / Path(device).name
    try:
        return (folder / "diskseq").read_text().strip() if (folder / "loop").exists() else ""
    except OSError:
        return "attached"
