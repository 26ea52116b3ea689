"""Faults that were asked for."""

from __future__ import annotations

from sqlmodel import Field

from emulator.storage.row import Row


class Fault(Row, table=True):
    """What happens, and how often, when a job comes to a point of a stage or a client to an operation. One of `stage` and `operation` is set."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int | None = Field(default=None, foreign_key="user.id", ondelete="CASCADE", index=True)
    """Whose jobs and calls it happens to; None: everybody's (an administrator set it)."""
    stage: str = Field(default="", index=True)
    """`build.last-pass`"""
    operation: str = Field(default="", index=True)
    """`GET /api/users/{uid}/images`; several are joined by semicolons."""
    action: str
    """One of `emulator.control.faults.ACTIONS`."""
    times: int | None = None
    """How often it happens in all; None: always."""
    every: int = 1
    """Every how manyth time."""
    skip: int = 0
    """How many times it does not happen first."""
    percent: int | None = None
    """Not at the stage's begin, but when the job's progress comes to so many percent."""
    after: int | None = None
    """Not at the stage's begin, but when it has moved so many bytes."""
    status: int = 500
    """HTTP status that an operation fails with."""
    message: str = ""
    """What the failure says; empty: that a fault was set."""
    delay: float = 0
    """Seconds that pass before."""
    met: int = 0
    """How often somebody came to its point."""
    hits: int = 0
    """How often it happened."""

    @property
    def waiting(self) -> bool:
        """Whether it can still happen."""
        return self.times is None or self.hits < self.times

    @property
    def due(self) -> bool:
        """Whether this meeting, the `met`th, is one at which it happens."""
        return self.waiting and self.met > self.skip and (self.met - self.skip) % self.every == 0
