"""The stages of a long task: told to the job as they begin, their times kept for the record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scanner.progress import Progress


@dataclass(slots=True)
class Stages:
    """Tells `progress`; `seconds` is what each stage took."""

    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, percent: int, message: str) -> Iterator[None]:
        """One stage, from `percent` of the whole on. Raises what `Progress.stage` raises."""
        self.progress.stage(name, message)
        self.progress.update(percent, message)
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 2)
