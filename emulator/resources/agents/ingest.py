"""Scans whose agents report by themselves, while they do: one token each, parts in order, no more of them than are read."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from emulator.errors import Busy, Conflict, Unauthorized
from scanner.errors import UserError
from scanner.targets.exchange import End, Exchange

MOST_UNREAD = 32
"""Parts that may wait for the job: with more, the agent waits."""
MOST_PARTS = 4_000_000


@dataclass
class Ingest:
    """One scan on its way in."""

    job_id: int
    exchange: Exchange
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _next: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, order: int, part: int, data: bytes) -> None:
        """One that is there already is not taken again. Raises `Busy`, `Conflict`; FileNotFoundError when the scan is over."""
        with self._lock:
            self.exchange.touch()
            following = self._next[order]
            if part < following:
                return
            if part > following or part >= MOST_PARTS:
                raise Conflict(f"part {following} is next, not part {part}")
            if self.exchange.unread(order) >= MOST_UNREAD:
                raise Busy("the parts that are here are to be read first")
            self.exchange.put(order, part, data)
            self._next[order] += 1

    def end(self, order: int, parts: int, error: str) -> None:
        """The answer has so many parts. Raises `UserError` when they did not come; FileNotFoundError when the scan is over."""
        with self._lock:
            self.exchange.touch()
            if parts != self._next[order]:
                raise UserError(f"{self._next[order]} parts came, not {parts}")
            self.exchange.end(order, End(parts, error))


class Ingests:
    """Every scan that is on its way in, by its id."""

    def __init__(self) -> None:
        self._open: dict[int, Ingest] = {}

    def begin(self, scan_id: int, ingest: Ingest) -> None:
        self._open[scan_id] = ingest

    def find(self, scan_id: int, token: str) -> Ingest:
        """Raises `Unauthorized`; also after a restart: the scan's job ended with the service."""
        found = self._open.get(scan_id)
        if found is None or not hmac.compare_digest(found.token.encode(), token.encode()):
            raise Unauthorized("there is no such scan on its way in", hint="run hammr scan run again")
        return found

    def forget(self, scan_id: int) -> None:
        self._open.pop(scan_id, None)
