"""Jobs and everything that happened to them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Job(Row, table=True):
    """One piece of work in a process of its own."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE")
    kind: str
    """`scan`, `build` or `verify`"""
    subject: str
    """The uri of what the job makes or looks at."""
    arguments: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: str = "queued"
    """A `emulator.jobs.kinds.State`."""
    stage: str = ""
    percent: int = 0
    message: str = ""
    error: str = ""
    error_code: str = ""
    hint: str = ""
    problems: list[str] = Field(default_factory=list, sa_type=JSON)
    exit_code: int | None = None
    cancel_requested: bool = False
    pid: int | None = None
    birth: int | None = None
    """Start time of the process in clock ticks since boot: with it a pid names one process only."""
    created: str
    started: str | None = None
    ended: str | None = None


class JobEvent(Row, table=True):
    """One thing that happened to a job, with its time."""

    __tablename__ = "job_event"

    id: int | None = Field(default=None, primary_key=True)
    job_id: int = Field(foreign_key="job.id", ondelete="CASCADE", index=True)
    time: str
    kind: str
    """`state` or `stage`"""
    name: str
    message: str = ""
    percent: int = 0
