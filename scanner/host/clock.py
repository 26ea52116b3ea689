"""The one door for time, so that tests and (later) the control plane can set it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds from an unspecified start, for measuring durations."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait. Bounded waits only: callers loop on a condition with a deadline."""
    time.sleep(seconds)
