"""Undoes what a session made when that session is gone, however it went: `python -m emulator.reaper`.

The session writes one JSON object a line to our standard input for each thing that it made: `{"process": PID}`, `{"container": NAME}`
(of the lab), `{"folder": PATH}`. When the input ends (the session closed it, or was killed) all of it is undone, the last first. So
there is one way out, for a session that ends well and for one that gets SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from emulator.jobs import process

Undo = Callable[[], None]

GRACE = 15.0
"""Seconds that a process gets to end by itself, with all of its group."""


def main(lines: Iterable[str]) -> None:
    """Read until the end, then undo."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    undo = [UNDO[kind](what) for line in lines for kind, what in json.loads(line).items()]
    for act in reversed(undo):
        # What is gone already, or cannot be undone, must not keep the rest from being undone.
        with contextlib.suppress(Exception):
            act()


def _end(pid: int) -> Undo:
    born = process.birth(pid)

    def act() -> None:
        # Another process may have got the number since.
        if born is not None and process.birth(pid) == born:
            process.end_group(pid, GRACE)

    return act


def _take_down(container: str) -> Undo:
    def act() -> None:
        from emulator.lab.lab import lab_down

        lab_down(container)

    return act


def _remove(folder: str) -> Undo:
    def act() -> None:
        # Instances of the local cloud are libvirt's, and outlive the service.
        instances = list(Path(folder).glob("cloud/instances/*"))
        if instances:
            from scanner.host import sweep

            for one in instances:
                sweep.give_back(one)
        shutil.rmtree(folder, ignore_errors=True)

    return act


UNDO: Mapping[str, Callable[[Any], Undo]] = {"process": _end, "container": _take_down, "folder": _remove}


if __name__ == "__main__":
    main(sys.stdin)
