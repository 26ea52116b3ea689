"""What jobs of a service could leave on this machine, by the system's own tools."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from support.devices import attached


def machine_state(data: Path) -> dict[str, Any]:
    """What dead jobs of the service on `data` could leave on this machine, by the system's own tools. Other tests may be at work on it."""
    return {
        "loops": [row["name"] for row in attached(data)],
        "mounts": mounts(data),
        "domains": [name for name in _virsh("list", "--all", "--name").split() if str(data) in _definition(name)],
        "processes": [pid for pid in _pids() if _lives_in(pid, data)],
        "temporary": sorted(path.name for path in Path("/tmp").glob("dib_*")),
    }


def mounts(below: Path) -> list[str]:
    """Where something is mounted below a folder."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [place for place in places if place.startswith(str(below))]


def _virsh(*words: str) -> str:
    return subprocess.run(["virsh", "-q", "-c", "qemu:///system", *words], capture_output=True, text=True, check=True).stdout


def _definition(name: str) -> str:
    try:
        return _virsh("dumpxml", name)
    except subprocess.CalledProcessError:
        # Somebody else's, which went in the meantime.
        return ""


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _lives_in(pid: int, data: Path) -> bool:
    # The service itself names the data folder; what works for a job names a folder of it.
    try:
        called = os.fsencode(data / "jobs") in Path(f"/proc/{pid}/cmdline").read_bytes()
        return called or Path(f"/proc/{pid}/root").readlink().is_relative_to(data)
    except OSError:
        return False
