"""Giving back what a dead task left under its folder: everything of it, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scanner.host import sweep
from scanner.host.sweep import give_back

from .conftest import MIB, attached, mounted_below, said

pytestmark = pytest.mark.dib

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Path]:
    """The folder of a task that died."""
    job = tmp_path / "job 1"
    (job / "deep/er").mkdir(parents=True)
    (job / "deep/file").write_text("left")
    yield job
    for point in reversed(mounted_below(job)):
        said("umount", "--lazy", point)
    for device in attached(job):
        said("losetup", "-d", device)


def attachment(device: str) -> str:
    """What is attached now, told apart from what another test or build attaches to the same device later."""
    folder = Path("/sys/block", Path(device).name)
    return (folder / "diskseq").read_text() if (folder / "loop").exists() else "nothing"


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts a program and ends it for sure."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, cwd: Path) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def ended(process: subprocess.Popen[bytes]) -> int | None:
    """The status of a process that is about to end; None when it goes on living."""
    try:
        return process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return None


def test_a_folder_with_nothing_running_is_removed(job: Path) -> None:
    assert give_back(job) == []
    assert not job.exists()


def test_what_is_not_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert give_back(tmp_path / "absent") == []


def test_a_process_that_works_in_the_folder_is_ended(job: Path, spawn: Spawn) -> None:
    living = [spawn("sleep", "600", cwd=job), spawn("sleep", "600", cwd=job / "deep/er")]
    assert give_back(job) == ["ended 2 processes"]
    assert [process.wait(timeout=5) for process in living] == [-signal.SIGTERM, -signal.SIGTERM]
    assert not job.exists()


def test_a_process_that_was_told_of_the_folder_is_ended(job: Path, spawn: Spawn) -> None:
    process = spawn("tail", "-f", str(job / "deep/file"), cwd=Path("/"))
    give_back(job)
    assert process.wait(timeout=5) == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed(job: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_GRACE", 0.3)
    process = spawn("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done", cwd=job)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    give_back(job)
    assert process.wait(timeout=5) == -signal.SIGKILL
    assert not job.exists()


def test_processes_of_a_neighbour_go_on(job: Path, spawn: Spawn, tmp_path: Path) -> None:
    neighbour = tmp_path / "job 10"
    neighbour.mkdir()
    beside, above = spawn("sleep", "600", cwd=neighbour), spawn("sleep", "600", cwd=tmp_path)
    give_back(job)
    assert (beside.poll(), above.poll()) == (None, None)
    assert ended(spawn("true", cwd=neighbour)) == 0
    assert (beside.poll(), above.poll()) == (None, None)


def test_neither_itself_nor_what_started_it_is_ended(job: Path) -> None:
    code = "import sys; from pathlib import Path; from scanner.host.sweep import give_back; print(give_back(Path(sys.argv[1])))"
    script = '"$0" -c "$1" "$2" && echo "the shell lives"'
    done = subprocess.run(["sh", "-c", script, sys.executable, code, job], cwd=job, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout.decode().splitlines() == ["[]", "the shell lives"], done.stderr.decode()
    assert not job.exists()


def test_a_mount_goes(job: Path) -> None:
    said("mount", "-t", "tmpfs", "none", job / "deep/er")
    assert give_back(job) == ["unmounted 1 file systems"]
    assert mounted_below(job) == []
    assert not job.exists()


def test_a_mount_that_is_in_use_from_outside_goes_as_well(job: Path) -> None:
    said("mount", "-t", "tmpfs", "none", job / "deep/er")
    with (job / "deep/er/open").open("w"):
        give_back(job)
        assert mounted_below(job) == []
    assert not job.exists()


def test_a_loop_device_goes_and_a_neighbours_stays(job: Path, tmp_path: Path) -> None:
    for disk in (job / "disk.raw", tmp_path / "disk.raw"):
        disk.write_bytes(bytes(MIB))
        said("losetup", "-f", disk)
    try:
        assert give_back(job) == ["detached 1 loop devices"]
        assert len(attached(tmp_path / "disk.raw")) == 1
        assert attached(job) == []
    finally:
        said("losetup", "-d", *attached(tmp_path / "disk.raw"))


def test_what_is_bound_into_the_folder_from_elsewhere_is_let_go_and_not_deleted(job: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "data").write_text("precious")
    said("mount", "--bind", precious, job / "deep/er")
    (job / "link").symlink_to(precious)
    assert give_back(job) == ["unmounted 1 file systems"]
    assert (precious / "data").read_text() == "precious"
    assert not job.exists()


def test_a_device_that_somebody_else_has_by_now_is_left_to_him(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = job / "disk.raw", tmp_path / "disk.raw"
    for disk in (ours, theirs):
        disk.write_bytes(bytes(MIB))
    device = said("losetup", "--show", "-f", ours).strip()

    def hand_over(folder: Path) -> list[str]:
        """As a process does that detaches while it is ended, and another that takes the next free device."""
        said("losetup", "-d", device)
        said("losetup", device, theirs)
        return []

    monkeypatch.setattr(sweep, "_end_processes", hand_over)
    try:
        assert give_back(job) == []
        assert attached(theirs) == [device]
    finally:
        said("losetup", "-d", device)


def nest(job: Path, disk: Path, spawn: Spawn) -> tuple[subprocess.Popen[bytes], str]:
    """As a build leaves it when it is killed: a tmpfs, a disk in it, a partition of that mounted, a process in there."""
    fast, root = job / "fast", job / "root"
    fast.mkdir()
    root.mkdir()
    said("mount", "-t", "tmpfs", "none", fast)
    said("cp", disk, fast / "disk.raw")
    device = said("losetup", "--show", "-f", "--offset", str(MIB), "--sizelimit", str(32 * MIB), fast / "disk.raw").strip()
    said("mount", device, root)
    (root / "proc").mkdir()
    said("mount", "-t", "proc", "none", root / "proc")
    return spawn("sleep", "600", cwd=root), device


def test_a_nest_of_all_of_it_goes_and_the_machine_is_as_before(job: Path, disk: Path, spawn: Spawn) -> None:
    process, device = nest(job, disk, spawn)
    before = attachment(device)
    assert give_back(job) == ["ended 1 processes", "unmounted 3 file systems", "detached 1 loop devices"]
    assert process.wait(timeout=5) == -signal.SIGTERM
    assert attachment(device) != before
    assert mounted_below(job) == []
    assert not job.exists()
    assert give_back(job) == []


def test_a_disk_that_was_being_read_through_fuse_goes(job: Path, disk: Path, spawn: Spawn) -> None:
    view, image = job / "disk.view", job / "disk.qcow2"
    view.touch()
    said("qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, image)
    daemon = spawn(
        "qemu-storage-daemon",
        *("--blockdev", f"driver=qcow2,node-name=disk,file.driver=file,file.filename={image},read-only=on"),
        *("--export", f"type=fuse,id=view,node-name=disk,mountpoint={view}"),
        cwd=Path("/"),
    )
    deadline = time.monotonic() + 20
    while not view.stat().st_size:
        assert daemon.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    (job / "root").mkdir()
    device = said("losetup", "--show", "-f", "--read-only", "--offset", str(MIB), "--sizelimit", str(32 * MIB), view).strip()
    said("mount", "-o", "ro,noload", device, job / "root")
    before = attachment(device)
    give_back(job)
    assert daemon.wait(timeout=5) is not None
    assert mounted_below(job) == []
    assert attachment(device) != before
    assert not job.exists()
