"""Scanned instances (the named groups) and their scans."""

from __future__ import annotations

from sqlalchemy import JSON, UniqueConstraint
from sqlmodel import Field

from emulator.storage.row import Row


class ScannedInstance(Row, table=True):
    """The named group of scans of one machine; all with overlay, or none."""

    __tablename__ = "scanned_instance"
    __table_args__ = (UniqueConstraint("user_id", "name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE")
    name: str
    overlay: bool
    distribution: str = "unknown"
    """UForge's name of it; `unknown` until the first inventory is read."""
    version: str = ""
    arch: str = ""
    created: str


class Scan(Row, table=True):
    """One scan. Its state is its job's; its report lies in the data folder."""

    id: int | None = Field(default=None, primary_key=True)
    instance_id: int = Field(foreign_key="scanned_instance.id", ondelete="CASCADE", index=True)
    number: int
    name: str
    target: str
    exclude: list[str] = Field(default_factory=list, sa_type=JSON)
    job_id: int = Field(foreign_key="job.id")
    awaited: bool = False
    """hammr waits for it and has not seen it unfinished yet: until then it would not notice it."""
    created: str
