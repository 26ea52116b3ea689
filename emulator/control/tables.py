"""Faults that were asked for."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class Fault(SQLModel, table=True):
    """What happens the next `times` times that a job enters `stage`."""

    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    stage: str = Field(index=True)
    action: str
    """`fail`, `hang` or `kill`"""
    times: int = 1
    """How often it still happens."""
