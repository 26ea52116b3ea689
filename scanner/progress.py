"""How a long task tells where it is. The jobs room supplies the real one; tests use `Silent`."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """The ear of a running task."""

    def stage(self, name: str, message: str = "") -> None:
        """Enter the named stage. Stage boundaries are where faults can be set and cancels are seen.

        Raises `Cancelled` when the job was asked to stop, or whatever a fault set here says.
        """

    def update(self, percent: int, message: str = "") -> None:
        """Overall progress of the job, 0..100. Raises as `stage`."""

    def moved(self, count: int) -> None:
        """So many bytes of what this stage carries have passed. Raises as `stage`."""

    def log(self, line: str) -> None:
        """One line for the job's log."""


class Silent:
    """Hears everything, says nothing; keeps the stages that it was told of, for tests."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, message: str = "") -> None:
        self.stages.append(name)

    def update(self, percent: int, message: str = "") -> None:
        pass

    def moved(self, count: int) -> None:
        pass

    def log(self, line: str) -> None:
        pass
