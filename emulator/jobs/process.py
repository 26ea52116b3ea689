"""Processes by group: who is it, is it still there, end it. Facts are proc(5): field 22 of /proc/PID/stat is the start time."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from scanner.host import clock


def birth(pid: int) -> int | None:
    """Start time in clock ticks since boot; None when there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state == b"Z" else int(fields[18])


def members(group: int) -> list[int]:
    """Living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                state, _parent, pgrp = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:3]
                if int(pgrp) == group and state != b"Z":
                    found.append(int(entry.name))
    return found


def tell_group(group: int, number: signal.Signals) -> None:
    """Signal every process of the group; those already gone do not matter. Not of init's or our own group."""
    if group > 1 and group != os.getpgrp():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def end_group(group: int, grace: float) -> None:
    """SIGTERM, up to `grace` seconds for it to end, then SIGKILL."""
    tell_group(group, signal.SIGTERM)
    deadline = clock.monotonic() + grace
    while members(group) and clock.monotonic() < deadline:
        clock.sleep(0.05)
    tell_group(group, signal.SIGKILL)
