"""A machine's disk read from the host: no NBD, no device-mapper, no conversion.

`qemu-storage-daemon` shows the guest's disk as a raw file through FUSE; a partition is a loop device at its offset.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from scanner.errors import StepFailed
from scanner.host.filesystems import READ_ONLY, file_systems, root_among
from scanner.host.loops import loop
from scanner.host.mounts import below, mounted
from scanner.host.run import popen, run, text

_DEADLINE = 20.0


@contextmanager
def raw_view(disk: Path, format: str, work: Path) -> Iterator[Path]:
    """The contents of `disk` (`qcow2` or `raw`) as a raw file, read-only, while the block lasts. Raises `StepFailed`."""
    if format == "raw":
        yield disk
        return
    node = {"driver": format, "read-only": True, "file": _file(disk, read_only=True)}
    with _exported(node, work / f"{disk.stem}.view", writable=False) as view:
        yield view


@contextmanager
def scratch_view(disk: Path, format: str, work: Path, name: str) -> Iterator[Path]:
    """The contents of `disk` and of its backing chain as a raw file that can be written to, while the block lasts.

    What is written lands in a throw-away overlay: the file system of a machine that was switched off can replay its journal, and the
    disk itself is opened for reading only, without the locks that would keep the machine from starting. Raises `StepFailed`.
    """
    overlay = work / f"{name}.qcow2"
    run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", format, "-b", str(disk), str(overlay), str(_size(disk, format))])
    below = {"driver": format, "read-only": True, "file": _file(disk, read_only=True)}
    node = {"driver": "qcow2", "file": _file(overlay, read_only=False), "backing": below}
    with _exported(node, work / f"{name}.view", writable=True) as view:
        yield view


def _size(disk: Path, format: str) -> int:
    """The guest's size of the disk in bytes, with every file of its chain there. Raises `StepFailed`."""
    said = run(["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", format, str(disk)], root=True, check=False)
    if said.returncode:
        raise StepFailed(
            f"the disk {disk} cannot be opened: {said.stderr.decode(errors='replace').strip().splitlines()[-1:]}",
            hint=f"qemu-img info --backing-chain {disk}",
        )
    chain: list[dict[str, Any]] = json.loads(said.stdout)
    if any(one.get("encrypted") for one in chain):
        raise StepFailed(f"the disk {disk} is encrypted and cannot be read from outside", hint="start the machine and scan it while it runs")
    return int(chain[0]["virtual-size"])


def _file(path: Path, *, read_only: bool) -> dict[str, Any]:
    driver = "host_device" if path.is_block_device() else "file"
    return {"driver": driver, "filename": str(path), "read-only": read_only, "locking": "off"}


@contextmanager
def _exported(node: Mapping[str, Any], view: Path, *, writable: bool) -> Iterator[Path]:
    view.touch()
    export = f"type=fuse,id=view,node-name=disk,mountpoint={view},writable={'on' if writable else 'off'},allow-other=off"
    argv = ["qemu-storage-daemon", "--blockdev", json.dumps({**node, "node-name": "disk"}), "--export", export]
    log = view.with_suffix(".log")
    try:
        with log.open("wb") as out, popen(argv, root=True, stdout=out, stderr=out) as daemon:
            try:
                _wait_for(view, daemon, log)
                yield view
            finally:
                _end(daemon)
    finally:
        # Who was killed leaves the mount behind.
        if below(view):
            run(["umount", "--lazy", str(view)], root=True)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    """Told until it hears: a SIGTERM between its look whether one came and its wait for the next event is lost on QEMU's daemon."""
    deadline = time.monotonic() + _DEADLINE
    while daemon.poll() is None and time.monotonic() < deadline:
        daemon.terminate()
        with suppress(subprocess.TimeoutExpired):
            daemon.wait(timeout=0.5)


def _wait_for(view: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while _length(view) == 0:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise StepFailed(f"the disk could not be opened: {log.read_text(errors='replace').strip()[-300:]}")
        time.sleep(0.05)


def _length(view: Path) -> int:
    # Asked as root: what root mounted through FUSE is nobody else's to look at.
    return int(text(["stat", "--format", "%s", str(view)], root=True))


@contextmanager
def root_of(disk: Path, format: str, work: Path, *, writable: bool = False) -> Iterator[Path]:
    """The root file system of `disk`, mounted below `work`: whichever partition holds a system. Only raw disks can be writable.

    Raises `StepFailed` when none does.
    """
    with raw_view(disk, format, work) as raw:
        found = file_systems(raw, disk.stem)
        one = found[0] if len(found) == 1 else root_among(found, work)[0]
        with loop(raw, one.offset, one.length, read_only=not writable) as device:
            options = ("rw",) if writable else ("ro", *READ_ONLY.get(one.type, ()))
            with mounted(device, work / "root", options) as root:
                yield root
