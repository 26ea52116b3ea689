"""The queue of jobs: one Protocol. `embedded.py` runs each job in a child process; `inprocess.py` in a thread, for tests."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Queue(Protocol):
    """Runs queued jobs, oldest first, as many at once as the scarce things allow."""

    def start(self) -> None:
        """Begin: first settle what a dead service left behind, then run what is queued."""

    def submit(self) -> None:
        """There is a new queued job in the ledger."""

    def entrust(self, job_id: int, secret: str) -> None:
        """Keep in memory, until the job starts, what it needs and nobody may read: its arguments say `entrusted`. One line of text."""

    def cancel(self, job_id: int) -> None:
        """Stop the job, queued or running; one that has ended stays as it is. Returns at once. Raises `NotFound`."""

    def wait(self, job_id: int, timeout: float) -> bool:
        """Whether the job has ended within `timeout` seconds."""

    def halted(self, user_id: int | None = None) -> AbstractContextManager[list[int]]:
        """While the block runs no job starts or is settled, and those that ran (all, or the user's) are ended at once and forgotten: their
        rows and folders are the caller's to take away. Gives their numbers."""

    def still(self) -> AbstractContextManager[None]:
        """While the block runs no job starts. Raises `Conflict` when one is queued or running."""

    def stop(self, timeout: float) -> None:
        """End every running job as failed (the service stopped) and take no more, within `timeout` seconds."""
