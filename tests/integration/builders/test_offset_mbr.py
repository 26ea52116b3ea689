"""The block-device node on a real disk file, with the real sfdisk and losetup."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diskimage_builder.block_device.plugin import NodeBase
from support.devices import attached

from builders.blockdevice import OffsetMbr, partition_table

pytestmark = pytest.mark.dib

MIB = 2**20


def said(*argv: str | Path) -> str:
    return subprocess.run([*argv], capture_output=True, check=True, text=True).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as out:
        out.truncate(64 * MIB)
    yield disk
    for row in attached(disk):
        said("losetup", "-d", row["name"])


def nodes_for(disk: Path, *partitions: dict[str, Any]) -> tuple[list[NodeBase], dict[str, Any]]:
    state: dict[str, Any] = {"blockdev": {"image0": {"image": str(disk), "device": "/dev/null"}}}
    return OffsetMbr({"base": "image0", "disk_id": "0x1234abcd", "partitions": list(partitions)}, {}, state).get_nodes(), state


ROOT = {"name": "root", "boot": True}
BOOT = {"name": "boot", "size": 16}


def test_the_whole_disk_is_one_bootable_partition_behind_a_loop_device(disk: Path) -> None:
    (root,), state = nodes_for(disk, ROOT)
    root.create()
    table = json.loads(said("sfdisk", "-J", disk))["partitiontable"]
    (part,) = table["partitions"]
    assert (table["label"], table["id"]) == ("dos", "0x1234abcd")
    assert (part["start"], part["size"], part["type"], part["bootable"]) == (2048, 64 * 2048 - 2048, "83", True)
    (row,) = attached(disk)
    assert (int(row["offset"]), int(row["sizelimit"])) == (MIB, 63 * MIB)
    assert state["blockdev"]["root"] == {"device": row["name"]}
    assert disk.stat().st_size == 64 * MIB


def test_what_is_written_to_the_device_lands_in_the_partition(disk: Path) -> None:
    (root,), state = nodes_for(disk, ROOT)
    root.create()
    device = state["blockdev"]["root"]["device"]
    said("dd", "if=/etc/hostname", f"of={device}", "conv=fsync,notrunc", "status=none")
    with disk.open("rb") as raw:
        raw.seek(MIB)
        assert raw.read(len(Path("/etc/hostname").read_bytes())) == Path("/etc/hostname").read_bytes()


def test_several_partitions_are_windows_that_do_not_overlap(disk: Path) -> None:
    nodes, state = nodes_for(disk, BOOT, ROOT)
    for node in nodes:
        node.create()
    assert partition_table(str(disk)) == [(MIB, 16 * MIB), (17 * MIB, 47 * MIB)]
    assert [(int(row["offset"]), int(row["sizelimit"])) for row in attached(disk)] == partition_table(str(disk))
    assert {state["blockdev"][name]["device"] for name in ("boot", "root")} == {row["name"] for row in attached(disk)}


def test_unmounting_gives_the_device_back(disk: Path) -> None:
    (root,), _ = nodes_for(disk, ROOT)
    root.create()
    assert len(attached(disk)) == 1
    root.umount()
    assert attached(disk) == []


def test_a_rollback_gives_the_devices_back(disk: Path) -> None:
    nodes, _ = nodes_for(disk, BOOT, ROOT)
    for node in nodes:
        node.create()
    for node in reversed(nodes):
        node.rollback()
    assert attached(disk) == []


def test_a_rollback_of_a_node_that_made_nothing_does_nothing(disk: Path) -> None:
    for node in nodes_for(disk, ROOT)[0]:
        node.rollback()
    assert attached(disk) == []


def test_a_node_that_was_pickled_between_two_steps_still_gives_back_what_it_made(disk: Path) -> None:
    (root,), state = nodes_for(disk, ROOT)
    root.create()
    (again,) = pickle.loads(pickle.dumps([root]))
    again.umount()
    assert attached(disk) == []
    assert state["blockdev"]["root"]["device"]


def test_a_disk_without_room_is_refused_and_leaves_no_device(tmp_path: Path) -> None:
    small = tmp_path / "small.raw"
    small.write_bytes(bytes(MIB))
    (root,), _ = nodes_for(small, ROOT)
    with pytest.raises(subprocess.CalledProcessError):
        root.create()
    assert attached(small) == []
