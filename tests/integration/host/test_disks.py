"""A machine's disk read from the host: raw through an offset, qcow2 through FUSE."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scanner.errors import StepFailed
from scanner.host.disks import raw_view, root_of

from .conftest import attached, mounted_below, said

pytestmark = pytest.mark.dib


class Trouble(Exception):
    """Something that goes wrong inside a block."""


@pytest.fixture
def qcow2(disk: Path) -> Path:
    target = disk.with_suffix(".qcow2")
    said("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, target)
    return target


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def daemons_of(work: Path) -> list[int]:
    """Numbers of the processes that show a disk in `work`."""
    rows = [row.split(None, 1) for row in said("ps", "-wweo", "pid,args").splitlines()]
    return [int(pid) for pid, args in rows if args.startswith("qemu-storage-daemon") and str(work) in args]


def nothing_is_left(work: Path) -> bool:
    return not mounted_below(work) and not daemons_of(work) and not attached(work)


def test_a_raw_disks_first_partition_is_read_and_given_back(disk: Path, work: Path) -> None:
    with root_of(disk, "raw", work) as root:
        assert (root / "hello").read_text() == "hello\n"
        with pytest.raises(OSError):
            (root / "more").write_text("x")
    assert attached(disk) == []
    assert nothing_is_left(work)


def test_a_raw_disk_is_written_only_when_asked_for(disk: Path, work: Path) -> None:
    before = disk.read_bytes()
    with root_of(disk, "raw", work):
        pass
    assert disk.read_bytes() == before
    with root_of(disk, "raw", work, writable=True) as root:
        (root / "more").write_text("written")
    with root_of(disk, "raw", work) as root:
        assert (root / "more").read_text() == "written"
    assert nothing_is_left(work)


def test_a_qcow2_is_read_without_conversion_and_given_back(qcow2: Path, work: Path) -> None:
    before = qcow2.read_bytes()
    with root_of(qcow2, "qcow2", work) as root:
        assert (root / "hello").read_text() == "hello\n"
        assert len(daemons_of(work)) == 1
    assert nothing_is_left(work)
    assert qcow2.read_bytes() == before


def test_an_overlay_over_a_raw_disk_is_read_as_the_machine_left_it(disk: Path, work: Path) -> None:
    overlay = work / "machine.qcow2"
    said("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", disk, overlay)
    with root_of(overlay, "qcow2", work) as root:
        assert (root / "hello").read_text() == "hello\n"
    assert nothing_is_left(work)


def test_the_view_is_the_whole_disk_byte_for_byte_and_read_only(disk: Path, qcow2: Path, work: Path) -> None:
    with raw_view(qcow2, "qcow2", work) as view:
        assert view.read_bytes() == disk.read_bytes()
        with pytest.raises(OSError), view.open("r+b", buffering=0) as out:
            out.write(b"x")
    assert nothing_is_left(work)


def test_everything_is_given_back_when_the_block_fails(qcow2: Path, work: Path) -> None:
    with pytest.raises(Trouble), root_of(qcow2, "qcow2", work):
        raise Trouble
    assert nothing_is_left(work)


def test_what_a_daemon_that_died_left_is_given_back(qcow2: Path, work: Path) -> None:
    with raw_view(qcow2, "qcow2", work):
        (daemon,) = daemons_of(work)
        os.kill(daemon, signal.SIGKILL)
    assert nothing_is_left(work)


MISSES_ONE = """#!/bin/bash
trap 'missed=$((missed + 1)); [ $missed -lt 2 ] || kill $daemon' TERM
PATH=${PATH#*:}
qemu-storage-daemon "$@" &
daemon=$!
while kill -0 $daemon 2> /dev/null; do wait $daemon; done
"""


def test_a_daemon_that_misses_the_first_signal_ends_by_the_next(qcow2: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does when the signal comes between its look whether one came and its wait for the next event."""
    shim = tmp_path / "bin/qemu-storage-daemon"
    shim.parent.mkdir()
    shim.write_text(MISSES_ONE)
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    with raw_view(qcow2, "qcow2", work):
        assert len(daemons_of(work)) == 1
    assert nothing_is_left(work)


def test_what_is_no_disk_is_refused_in_the_tools_words_and_leaves_nothing(tmp_path: Path, work: Path) -> None:
    (tmp_path / "no.qcow2").write_text("no disk at all")
    with pytest.raises(StepFailed, match="could not be opened"), root_of(tmp_path / "no.qcow2", "qcow2", work):
        pass
    assert nothing_is_left(work)
