"""Migrations: a live system on its way to a cloud, stage by stage."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Migration(Row, table=True):
    """One migration. Each stage is a job of its own; what came of the stages that are done stays when a later one fails."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    token: str = Field(default_factory=lambda: uuid.uuid4().hex)
    """Tells this migration from a later one with the same number: whoever drives it stops when it is another."""
    name: str
    wanted: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """A `emulator.resources.migrations.wanted.Wanted`"""
    state: str = "running"
    """`running`, `done`, `failed` or `cancelled`"""
    stage: str = "scan"
    """The stage that runs, or at which it stopped."""
    job_id: int | None = None
    """The job of that stage, once there is one."""
    made: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    """Stage -> number of what came of it: scan, image, publication, deployment, verification's job."""
    error: str = ""
    hint: str = ""
    exit_code: int | None = None
    created: str
    ended: str | None = None
