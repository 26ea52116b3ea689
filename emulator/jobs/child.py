"""One job, in a process of its own: `python -m emulator.jobs.child JOB --data DIR`. Started by `embedded.py` in a new session.

SIGTERM asks it to stop. The first line of standard input is what was entrusted to the job; after it, that input is the lifeline to the
service: at its end the service is gone, and the whole group ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from emulator.folders import Folders
from emulator.jobs import process
from emulator.jobs.ledger import Ledger
from emulator.jobs.outcome import Outcome, cancelled
from emulator.jobs.progress import Stop
from emulator.jobs.tasks import TASKS
from emulator.jobs.work import carry_out
from emulator.storage import tables  # noqa: F401  (foreign keys need every table known)
from emulator.storage.engine import Database
from scanner.errors import Cancelled
from scanner.host import chance, clock

GRACE = 5.0
"""Seconds that the group gets to end by itself when the service is gone."""


class Signals:
    """SIGTERM interrupts whatever the job is doing, once; later ones do not disturb its cleaning up."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._heard = False
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.ask()
        if not self._heard:
            self._heard = True
            raise Cancelled("cancelled")


class Lifeline:
    """Watches standard input; what the job starts does not inherit it."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self._pipe = os.dup(0)
        with Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while os.read(self._pipe, 1):
            pass
        self.lost.set()
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = threading.Timer(GRACE, lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
        deadline.daemon = True
        deadline.start()
        for member in process.members(os.getpgrp()):
            if member != os.getpid():
                os.kill(member, signal.SIGTERM)


def _writer() -> Callable[[str], None]:
    import structlog

    structlog.configure(
        processors=[structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=True, key="time"), _plain],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    say = structlog.get_logger().info

    def write(line: str) -> None:
        say(line)

    return write


def _plain(_logger: object, _method: str, event: object) -> str:
    assert isinstance(event, dict)
    said = str(event["event"]).encode("utf-8", "backslashreplace").decode()
    return f"{event['time']} {said}"


def entrusted() -> str:
    """The first line of standard input. Read by the byte: what comes after it is the lifeline's."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return ""
        line += byte
    return line[:-1].decode()


def perform(job_id: int, data: Path) -> Outcome | None:
    """Carry the job out; None when the service went away meanwhile (the next one will say so)."""
    folders = Folders(data)
    clock.follow(folders.clock)
    chance.follow(folders.ids)
    secret = entrusted()
    stop, lifeline = Stop(), Lifeline()
    database = Database(folders.database)
    try:
        Signals(stop)
        outcome = carry_out(Ledger(database), folders, job_id, TASKS, stop, _writer(), secret=secret)
    except Cancelled:
        outcome = cancelled()
    return None if lifeline.lost.is_set() else outcome


def main() -> None:
    """The process's entry."""
    parser = argparse.ArgumentParser(prog="emulator.jobs.child")
    parser.add_argument("job", type=int)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    outcome = perform(asked.job, asked.data)
    if outcome is not None:
        outcome.save(Folders(asked.data).outcome(asked.job))
    sys.exit(outcome.exit_code if outcome is not None else 5)


if __name__ == "__main__":
    main()
