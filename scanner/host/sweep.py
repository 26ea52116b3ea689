"""Give back everything that a dead task may have left under its folder.

A job keeps all it makes below one folder, so the folder itself is the register of undos: processes that live in it (root,
working directory or an open marker), virtual machines whose disk lies in it, mounts, loop devices, and the tree.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from scanner.errors import CommandFailed, Unreachable
from scanner.host import loops, mounts
from scanner.host.run import available, run

_GRACE = 5.0
_TRIES = 3


def give_back(folder: Path) -> list[str]:
    """Undo whatever is left under `folder`, then remove it. Answers what was found, in words. Safe to repeat."""
    if not folder.exists():
        return []
    # First of all: the kernel forgets where a file lies whose file system is gone, and some go with their processes.
    devices = _devices(folder)
    found = _end_machines(folder) + _end_processes(folder) + _unmount(folder) + _detach({**devices, **_devices(folder)}) + _leave_guests(folder)
    run(["rm", "-rf", "--one-file-system", "--", str(folder)], root=True)
    return found


def _end_machines(folder: Path) -> list[str]:
    # builders/machine.py leaves a mark with the machine's name. Not searched below: file systems may still be mounted there.
    marks = list(folder.glob("*.domain"))
    if not marks or not available("virsh"):
        return []
    names = [mark.stem for mark in marks]
    ended = []
    for name in names:
        try:
            if run(["virsh", "-q", "-c", "qemu:///system", "destroy", name], root=True, check=False).returncode == 0:
                ended.append(f"ended the machine {name}")
            # Instances of the local cloud are remembered by libvirt when they have ended.
            if run(["virsh", "-q", "-c", "qemu:///system", "undefine", name], root=True, check=False).returncode == 0:
                ended.append(f"forgot the machine {name}")
        except (CommandFailed, Unreachable):
            continue
    return ended


def _leave_guests(folder: Path) -> list[str]:
    # targets/guestscan.py leaves a mark with the request that ends a scan in a running machine. Only after the scan's own end here,
    # and after the unmounting: a file system whose disk went with its process cannot even be listed.
    left = []
    marks = [*folder.glob("*.guest"), *folder.glob("*/*.guest")]
    for mark in marks if available("virsh") else ():
        try:
            told = json.loads(mark.read_bytes())
            argv = ["virsh", "-q", "-c", "qemu:///system", "qemu-agent-command", "--timeout", "20", told["domain"], json.dumps(told["request"])]
            # What the dead task had asked may still be without its answer: the guest agent hears one request at a time.
            for _ in range(_TRIES):
                if run(argv, root=True, check=False).returncode == 0:
                    left.append(f"ended the scan in {told['domain']}")
                    break
                time.sleep(1)
        except (CommandFailed, Unreachable, ValueError, KeyError):
            continue
    return left


def _living_in(folder: Path) -> list[int]:
    """Processes whose root, working directory or command line lies in `folder`, this one and its parents left out."""
    inside, own = f"{folder.resolve()}/", _ancestry()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in own and _touches(entry, inside):
            found.append(int(entry.name))
    return found


def _touches(process: Path, inside: str) -> bool:
    for link in ("root", "cwd"):
        try:
            if (str((process / link).readlink()) + "/").startswith(inside):
                return True
        except OSError:
            continue
    try:
        return inside.encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _ancestry() -> set[int]:
    own, pid = set(), os.getpid()
    while pid > 0:
        own.add(pid)
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return own


def _end_processes(folder: Path) -> list[str]:
    pids = _living_in(folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _GRACE
        remaining = _living_in(folder)
        for pid in remaining:
            _signal(pid, number)
        while remaining and time.monotonic() < deadline:
            time.sleep(0.05)
            remaining = _living_in(folder)
    return [f"ended {len(pids)} processes"] if pids else []


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        run(["kill", f"-{int(number)}", str(pid)], root=True, check=False)


def _unmount(folder: Path) -> list[str]:
    points = mounts.below(folder)
    for point in points:
        if run(["umount", point], root=True, check=False).returncode:
            run(["umount", "--lazy", point], root=True, check=False)
    return [f"unmounted {len(points)} file systems"] if points else []


def _devices(folder: Path) -> dict[str, str]:
    """Loop devices on files below the folder, with the number of their attachment."""
    return {device: loops.attachment(device) for device in loops.backed_by(folder)} if available("losetup") else {}


def _detach(known: dict[str, str]) -> list[str]:
    # What a process gave back while it ended may be somebody else's by now: only the attachments that were seen.
    devices = [device for device, number in known.items() if number and loops.attachment(device) == number]
    for device in devices:
        run(["losetup", "-d", device], root=True, check=False)
    return [f"detached {len(devices)} loop devices"] if devices else []
