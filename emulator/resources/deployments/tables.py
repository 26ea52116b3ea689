"""Instances that were made of published images."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Deployment(Row, table=True):
    """One instance in a cloud. Until its job is done its state is the job's; after that the cloud is asked."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    publication_id: int = Field(foreign_key="publication.id", index=True)
    application: str = Field(unique=True)
    """UForge's applicationId, by which clients name it."""
    name: str
    asked: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """A `builders.clouds.base.Request`, as `asking.py` stores it."""
    cloud_id: str = ""
    """The cloud's own number of the instance; empty until there is one."""
    job_id: int = Field(foreign_key="job.id")
    created: str
