"""The real `Progress`: writes to the ledger, hears the request to stop, meets the faults that were set."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emulator.control import faults
from emulator.control.tables import Fault
from emulator.jobs.ledger import Ledger
from emulator.resources.jobs.tables import Job
from scanner.errors import Cancelled
from scanner.host import clock

INTERVAL = 0.25
"""Seconds between two updates that are written down."""


class Stop:
    """Somebody asked the job to stop."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        self._asked.set()

    def check(self) -> None:
        """Raises `Cancelled` when it was asked."""
        if self._asked.is_set():
            raise Cancelled("cancelled")


class RecordedProgress:
    """Progress of one job."""

    def __init__(self, ledger: Ledger, job: Job, stop: Stop, write: Callable[[str], None]) -> None:
        assert job.id is not None
        self._ledger, self._job, self._kind, self._user, self._stop, self._write = ledger, job.id, job.kind, job.user_id, stop, write
        self._last: tuple[int, str] = (-1, "")
        self._when = 0.0
        self._armed: list[Fault] = []

    def stage(self, name: str, message: str = "") -> None:
        self._stop.check()
        qualified = f"{self._kind}.{name}"
        # Counted before the stage is told: whoever sees the stage and ends the job must not find its fault waiting for the next one.
        fault = faults.take_at(self._ledger.database, qualified, self._user)
        self._armed = faults.armed(self._ledger.database, qualified, self._user)
        self._ledger.stage(self._job, qualified, message)
        self._write(f"[{qualified}] {message}".rstrip())
        faults.meet(fault, self._stop.check)

    def moved(self, count: int) -> None:
        self._stop.check()
        self._reached([one for one in self._armed if one.after is not None and count >= one.after])

    def _reached(self, points: list[Fault]) -> None:
        """Each point within a stage is come to once."""
        if points:
            self._armed = [one for one in self._armed if one not in points]
            fault = faults.take(self._ledger.database, [one.id for one in points if one.id is not None])
            faults.meet(fault, self._stop.check)

    def update(self, percent: int, message: str = "") -> None:
        self._stop.check()
        self._reached([one for one in self._armed if one.percent is not None and percent >= one.percent])
        news = (percent, message)
        if news == self._last or (percent < 100 and clock.monotonic() - self._when < INTERVAL):
            return
        self._last, self._when = news, clock.monotonic()
        self._ledger.update(self._job, percent, message)

    def log(self, line: str) -> None:
        self._write(line)
