"""Which mounts of a running machine are its own disks: by the kernel's mount table, as proc(5) describes it."""

from __future__ import annotations

import pytest

from scanner.agent.mounts import _partitions, own_disks

ROOT = "22 1 253:1 / / rw - ext4 /dev/vda1 rw"
BOOT = "30 22 253:2 / /boot rw - ext4 /dev/vda2 rw"
OWN = {
    BOOT: "/boot",
    "31 30 253:3 / /boot/efi rw - vfat /dev/vda3 rw": "/boot/efi",
    "32 22 253:4 / /home rw,noatime shared:3 - xfs /dev/mapper/vg-home rw": "/home",
    "33 22 0:40 /@srv /srv\\040x rw - btrfs /dev/vdb rw": "/srv x",
}
OTHERS = [
    "40 22 0:5 / /proc rw - proc proc rw",
    "41 22 0:6 / /run rw - tmpfs tmpfs rw",
    "42 22 0:44 / /mnt/share rw - nfs4 server:/share rw",
    "43 22 253:1 /var/data /opt/data rw - ext4 /dev/vda1 rw",
    "44 22 253:1 / /mnt/root rw - ext4 /dev/vda1 rw",
    "45 22 253:9 /sub /mnt/sub rw - ext4 /dev/vdc rw",
    "46 22 7:0 / /snap/core rw - ext4 /dev/loop0 ro",
    "47 22 0:50 / /mnt/fuse rw - fuse.sshfs host:/ rw",
    "48 22 7:1 / /media/cd ro - squashfs /dev/vdd ro",
]


def fields(*lines: str) -> list[list[bytes]]:
    return [line.encode().split() for line in lines]


def test_partitions_are_walked() -> None:
    assert _partitions(fields(ROOT, *OWN)) == [path.encode() for path in OWN.values()]


@pytest.mark.parametrize("line", OTHERS)
def test_anything_else_is_not(line: str) -> None:
    assert _partitions(fields(ROOT, line)) == []


def test_a_second_place_of_the_same_partition_is_a_bind_mount() -> None:
    assert _partitions(fields(ROOT, BOOT, "31 22 253:2 / /mnt rw - ext4 /dev/vda2 rw")) == [b"/boot"]


def test_of_a_tree_that_is_no_running_machines_root_nothing_is_assumed() -> None:
    assert own_disks(b"/proc/1/root") == own_disks(b"/srv") == []


def test_subvolumes_of_one_file_system_are_walked_and_folders_of_them_are_not() -> None:
    lines = ["22 1 0:33 /@ / rw - btrfs /dev/vda2 rw", "23 22 0:33 /@home /home rw - btrfs /dev/vda2 rw", "24 22 0:33 /@home/ann /srv rw - btrfs /dev/vda2 rw", "25 22 0:33 /@ /mnt rw - btrfs /dev/vda2 rw"]
    assert _partitions(fields(*lines)) == [b"/home"]
