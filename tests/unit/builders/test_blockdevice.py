"""The partition table's script and the nodes that diskimage-builder makes of a configuration."""

from __future__ import annotations

import pickle

import pytest
from diskimage_builder.block_device.exception import BlockDeviceSetupException
from stevedore import ExtensionManager

from builders.blockdevice import OffsetMbr, sfdisk_script
from builders.dib import BaseRequest, block_device_config

CONFIG = {"base": "image0", "disk_id": "0x1234abcd", "partitions": [{"name": "boot", "size": 64}, {"name": "root", "boot": True}]}


def test_one_partition_takes_the_whole_disk_from_the_first_mebibyte() -> None:
    script = sfdisk_script("0x1234abcd", [{"name": "root", "boot": True}])
    assert script == "label: dos\nlabel-id: 0x1234abcd\nunit: sectors\n\nstart=2048, type=83, bootable\n"


def test_sizes_are_mebibytes_and_the_last_takes_the_rest() -> None:
    rows = sfdisk_script("0x1", [{"name": "a", "size": 64}, {"name": "b", "size": "100"}, {"name": "c"}]).splitlines()[4:]
    assert rows == ["start=2048, size=131072, type=83", "size=204800, type=83", "type=83"]


def test_the_node_is_found_by_its_name_where_diskimage_builder_looks() -> None:
    found = ExtensionManager("diskimage_builder.block_device.plugin", invoke_on_load=False)
    assert found["forgelet_mbr"].plugin is OffsetMbr


def test_each_partition_is_a_node_that_comes_after_the_disk_and_its_neighbour() -> None:
    boot, root = OffsetMbr(CONFIG, {}, {}).get_nodes()
    assert (boot.name, boot.get_edges()) == ("boot", (["image0"], []))
    assert (root.name, root.get_edges()) == ("root", (["image0", "boot"], []))


@pytest.mark.parametrize("lost", ["base", "partitions"])
def test_a_configuration_that_lacks_something_is_refused_by_name(lost: str) -> None:
    with pytest.raises(BlockDeviceSetupException, match=f"forgelet_mbr needs '{lost}'"):
        OffsetMbr({key: value for key, value in CONFIG.items() if key != lost}, {}, {})


def test_nodes_survive_the_pickling_between_diskimage_builders_steps() -> None:
    state = {"blockdev": {"image0": {"image": "/x"}, "root": {"device": "/dev/loop9"}}}
    nodes = pickle.loads(pickle.dumps(OffsetMbr(CONFIG, {}, state).get_nodes()))
    assert [(node.name, node.number, node.base, node.previous) for node in nodes] == [("boot", 0, "image0", None), ("root", 1, "image0", "boot")]
    assert nodes[1].state == state
    assert nodes[0].script == sfdisk_script("0x1234abcd", CONFIG["partitions"])  # type: ignore[arg-type]


def test_what_a_build_asks_for_is_a_configuration_of_this_node() -> None:
    base = BaseRequest("bookworm", "amd64", [], {}, {}, {}, 2000, "uuid", "0x1234abcd")
    config = block_device_config(base)[1]["forgelet_mbr"]
    (node,) = OffsetMbr(config, {}, {}).get_nodes()  # type: ignore[arg-type]
    assert (node.name, node.get_edges()[0]) == ("root", ["image0"])
