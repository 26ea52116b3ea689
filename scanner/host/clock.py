"""The one door for time. What users see of time can be set: put forward, stopped, made to run faster.

`now` and `elapsed` follow the setting, in every process that follows the same file; `real`, `monotonic` and `sleep` never do: what waits
for the machine (processes, engines, networks) waits in the machine's time.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scanner.host.whole import write_whole


@dataclass(frozen=True, slots=True)
class Setting:
    """The service's time was `told` when the machine's was `real`, and has passed `rate` times as fast since. Seconds since 1970."""

    real: float
    told: float
    rate: float

    def at(self, real: float) -> float:
        """The service's time at a moment of the machine's."""
        return self.told + (real - self.real) * self.rate

    def later(self) -> Setting:
        """The same time and rate, told at the present moment of the machine."""
        now = time.time()
        return Setting(now, self.at(now), self.rate)

    def from_now(self) -> Setting:
        """What was told is told now: time goes on from there."""
        return Setting(time.time(), self.told, self.rate)


class _Followed:
    """The file that says how time is set; read again when it has changed."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self._seen: tuple[int, int] | None = None
        self._setting: Setting | None = None

    def setting(self) -> Setting | None:
        if self.path is None:
            return None
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._seen = self._setting = None
            return None
        if self._seen != (found.st_ino, found.st_mtime_ns):
            self._setting = Setting(**json.loads(self.path.read_bytes()))
            self._seen = (found.st_ino, found.st_mtime_ns)
        return self._setting


_followed = _Followed()


def follow(path: Path) -> None:
    """From now on this process goes by what the file says; as long as there is none, by the machine's time."""
    _followed.path = path


def setting() -> Setting | None:
    """How time is set; None when it is the machine's."""
    return _followed.setting()


def put(wanted: Setting | None) -> None:
    """Set the time, in every process that follows the file; None: the machine's again."""
    path = _followed.path
    assert path is not None, "no file is followed"
    if wanted is None:
        path.unlink(missing_ok=True)
        return
    write_whole(path, json.dumps(asdict(wanted)))


def now() -> datetime:
    """The present moment, in UTC, as it is set."""
    found = _followed.setting()
    return datetime.now(UTC) if found is None else datetime.fromtimestamp(found.at(time.time()), UTC)


def real() -> datetime:
    """The present moment of the machine, in UTC."""
    return datetime.now(UTC)


def of_inodes() -> int:
    """The present moment of the clock by which the kernel stamps inodes, nanoseconds since 1970. Source: clock_gettime(2), CLOCK_REALTIME_COARSE."""
    return time.clock_gettime_ns(5)


def elapsed() -> float:
    """Seconds from an unspecified start, for what users wait for: as fast as the time that is set, and as far ahead."""
    found = _followed.setting()
    moment = time.time()
    return monotonic() + (0.0 if found is None else found.at(moment) - moment)


def monotonic() -> float:
    """Seconds from an unspecified start, for measuring durations."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait. Bounded waits only: callers loop on a condition with a deadline."""
    time.sleep(seconds)
