"""Who lists scans by name, and how often: so that one look is told from waiting."""

from __future__ import annotations

import threading

from scanner.host import clock

FORGOTTEN = 30.0
"""Seconds without a listing after which the next one is of another run of hammr (it asks every five)."""
LONGEST_MEMORY = 1000
Key = tuple[int, str, str]
"""User, name of the group, address of the client."""


class Polls:
    """When each of them asked last. In memory only: after a restart the second listing counts again."""

    def __init__(self) -> None:
        self._last: dict[Key, float] = {}
        self._lock = threading.Lock()

    def again(self, key: Key) -> bool:
        """Whether this is one of a row of listings; it is remembered."""
        with self._lock:
            now = clock.elapsed()
            last = self._last.pop(key, None)
            self._last[key] = now
            if len(self._last) > LONGEST_MEMORY:
                self._last.pop(next(iter(self._last)))
            return last is not None and now - last < FORGOTTEN

    def forget(self, key: Key) -> None:
        """The row has ended."""
        with self._lock:
            self._last.pop(key, None)
