"""A diskimage-builder block-device node: an MBR whose partitions are loop devices at an offset.

diskimage-builder's own `partitioning` node maps partitions with kpartx, which needs device-mapper; many kernels (containers, CI)
have none. This node writes the same table with sfdisk and attaches one loop device per partition with `losetup --offset
--sizelimit`. It is selected by name (`forgelet_mbr`) in the block-device configuration and found through the entry point group
`diskimage_builder.block_device.plugin`. diskimage-builder pickles nodes between its steps, so they hold plain data only.

    - local_loop: {name: image0, size: 2000MiB}
    - forgelet_mbr:
        base: image0
        disk_id: "0x1234abcd"
        partitions:
          - {name: root, boot: true, mkfs: {...}}
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

from diskimage_builder.block_device.exception import BlockDeviceSetupException
from diskimage_builder.block_device.plugin import NodeBase, PluginBase
from diskimage_builder.block_device.utils import exec_sudo

SECTOR = 512
ALIGN = 2048
"""Sectors: partitions begin on 1 MiB."""


def sfdisk_script(disk_id: str, partitions: list[dict[str, Any]]) -> str:
    """Input for sfdisk: primary Linux partitions in order; one without `size` (MiB) takes the rest."""
    head = ["label: dos", f"label-id: {disk_id}", "unit: sectors", ""]
    rows = []
    for number, part in enumerate(partitions):
        fields = [f"start={ALIGN}"] if number == 0 else []
        fields += [f"size={int(part['size']) * 2048}"] if "size" in part else []
        fields += ["type=83"] + (["bootable"] if part.get("boot") else [])
        rows.append(", ".join(fields))
    return "\n".join([*head, *rows, ""])


def partition_table(disk: str) -> list[tuple[int, int]]:
    """Offset and length in bytes of each partition of the raw disk file or device, in table order.

    Source: `sfdisk -J`, whose numbers are sectors of `sectorsize` bytes.
    """
    table = json.loads(subprocess.run(["sfdisk", "-J", disk], check=True, capture_output=True).stdout)["partitiontable"]
    sector = int(table.get("sectorsize", SECTOR))
    return [(part["start"] * sector, part["size"] * sector) for part in table.get("partitions", [])]


def attach(disk: str, offset: int, length: int) -> str:
    """A loop device on that window of the disk."""
    out: str = exec_sudo(["losetup", "--show", "-f", "--offset", str(offset), "--sizelimit", str(length), disk])
    return out.strip()


def detach(device: str) -> None:
    """Give the loop device back."""
    exec_sudo(["losetup", "-d", device])


class OffsetPartition(NodeBase):
    """One partition; the first one to be created writes the whole table."""

    def __init__(self, name: str, number: int, base: str, previous: str | None, script: str, state: Any) -> None:
        super().__init__(name, state)
        self.number = number
        self.base = base
        self.previous = previous
        self.script = script

    def get_edges(self) -> tuple[list[str], list[str]]:
        return [self.base] + ([self.previous] if self.previous else []), []

    def create(self) -> None:
        disk = self.state["blockdev"][self.base]["image"]
        if self.number == 0:
            subprocess.run(["sfdisk", "--quiet", "--no-tell-kernel", disk], input=self.script.encode(), check=True)
        offset, length = partition_table(disk)[self.number]
        device = attach(disk, offset, length)
        self.add_rollback(detach, device)
        self.state["blockdev"][self.name] = {"device": device}

    def umount(self) -> None:
        detach(self.state["blockdev"][self.name]["device"])


class OffsetMbr(PluginBase):
    """The plugin behind `forgelet_mbr`: makes one node per partition."""

    def __init__(self, config: dict[str, Any], defaults: dict[str, Any], state: Any) -> None:
        super().__init__()
        for key in ("base", "partitions"):
            if key not in config:
                raise BlockDeviceSetupException(f"forgelet_mbr needs '{key}'")
        parts = config["partitions"]
        script = sfdisk_script(str(config.get("disk_id", "0x466f7267")), parts)
        names = [None, *(part["name"] for part in parts)]
        self.nodes = [
            OffsetPartition(part["name"], number, config["base"], names[number], script, state) for number, part in enumerate(parts)
        ]

    def get_nodes(self) -> list[NodeBase]:
        return list(self.nodes)
