"""Loop devices and mounts: what is in them, and that they are given back however the block ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scanner.errors import CommandFailed, StepFailed
from scanner.host import loops, mounts
from scanner.host.loops import loop, partitions
from scanner.host.mounts import mounted

from .conftest import MIB, attached, mounted_below, said

pytestmark = pytest.mark.dib


class Trouble(Exception):
    """Something that goes wrong inside a block."""


def test_partitions_are_told_in_bytes_in_the_tables_order(disk: Path) -> None:
    assert partitions(disk) == [(MIB, 32 * MIB), (33 * MIB, 31 * MIB)]


def test_a_disk_without_a_table_or_without_partitions_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.raw"
    empty.write_bytes(bytes(4 * MIB))
    with pytest.raises(CommandFailed):
        partitions(empty)
    said("sh", "-c", f"echo 'label: dos' | sfdisk --quiet --no-tell-kernel '{empty}'")
    with pytest.raises(StepFailed, match=r"empty\.raw has a partition table without partitions"):
        partitions(empty)


def test_a_loop_device_is_a_window_of_the_disk_and_goes_with_the_block(disk: Path) -> None:
    with loop(disk, MIB, 32 * MIB, read_only=True) as device:
        assert attached(disk) == [str(device)]
        assert int(said("blockdev", "--getsize64", device)) == 32 * MIB
        assert said("blockdev", "--getro", device).strip() == "1"
    assert attached(disk) == []


def test_without_a_length_the_window_reaches_to_the_end(disk: Path) -> None:
    with loop(disk, MIB) as device:
        assert int(said("blockdev", "--getsize64", device)) == 63 * MIB
        assert said("blockdev", "--getro", device).strip() == "0"


def test_a_loop_device_is_given_back_when_the_block_fails(disk: Path) -> None:
    with pytest.raises(Trouble), loop(disk):
        raise Trouble
    assert attached(disk) == []


def test_a_disk_that_is_not_there_leaves_no_device(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed), loop(tmp_path / "absent.raw"):
        pass
    assert attached(tmp_path / "absent.raw") == []


def test_a_mount_shows_the_contents_and_goes_with_the_block(disk: Path, tmp_path: Path) -> None:
    at = tmp_path / "a folder" / "with space"
    with loop(disk, MIB, 32 * MIB, read_only=True) as device, mounted(device, at, ("ro", "noload")) as root:
        assert (root / "hello").read_text() == "hello\n"
        assert mounted_below(tmp_path) == [str(at)]
        with pytest.raises(OSError):
            (root / "more").write_text("x")
    assert mounted_below(tmp_path) == []
    assert attached(disk) == []


def test_what_was_written_is_on_the_disk_though_somebody_elses_namespace_holds_the_mount(disk: Path, tmp_path: Path) -> None:
    """Where the root's mounts are private, a machine or a container that starts meanwhile keeps a copy of every mount, and umount(2) writes nothing."""
    with loop(disk, MIB, 32 * MIB) as device, mounted(device, tmp_path / "at") as root:
        holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 60"], stdout=subprocess.PIPE)
        assert holder.stdout and holder.stdout.readline()
        (root / "late").write_bytes(b"written late " * 1000)
    try:
        assert said("debugfs", "-R", "cat /late", f"{disk}?offset={MIB}") == "written late " * 1000
        assert attached(disk) == [], "what waits for the other namespace is given back"
        assert "needs_recovery" not in said("dumpe2fs", "-h", f"{disk}?offset={MIB}")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_mount_and_device_are_given_back_when_the_block_fails(disk: Path, tmp_path: Path) -> None:
    with pytest.raises(Trouble), loop(disk, MIB, 32 * MIB) as device, mounted(device, tmp_path / "at"):
        raise Trouble
    assert mounted_below(tmp_path) == []
    assert attached(disk) == []


def test_what_cannot_be_mounted_gives_the_device_back(disk: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed), loop(disk, 33 * MIB) as device, mounted(device, tmp_path / "at", ("ro",)):
        pass
    assert attached(disk) == []
    assert mounted_below(tmp_path) == []


def test_devices_and_mounts_of_a_folder_are_found_and_no_neighbours(disk: Path, tmp_path: Path) -> None:
    job, other = tmp_path / "job 1", tmp_path / "job 10"
    for folder in (job, other):
        (folder / "root").mkdir(parents=True)
    said("cp", disk, job / "disk.raw")
    with loop(job / "disk.raw", MIB, 32 * MIB) as ours, loop(disk, MIB, 32 * MIB) as theirs:
        with mounted(ours, job / "root", ("ro",)), mounted(theirs, other / "root", ("ro",)):
            assert loops.backed_by(job) == [str(ours)]
            assert mounts.below(job) == [str(job / "root")]
            assert mounts.below(job / "root") == [str(job / "root")]
            assert loops.backed_by(other) == []
    assert (loops.backed_by(job), mounts.below(job)) == ([], [])


def test_mounts_within_mounts_are_told_deepest_first(tmp_path: Path) -> None:
    outer, inner = tmp_path / "t", tmp_path / "t/u"
    outer.mkdir()
    said("mount", "-t", "tmpfs", "none", outer)
    try:
        inner.mkdir()
        said("mount", "-t", "tmpfs", "none", inner)
        assert mounts.below(tmp_path) == [str(inner), str(outer)]
    finally:
        said("umount", "--recursive", outer)
