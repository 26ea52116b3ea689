"""Machine images, by what they were asked to be."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Image(Row, table=True):
    """One machine image of a scan or of a template (exactly one of the two). Its state is its job's; what it became is in `image.json` of its folder."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE")
    scan_id: int | None = Field(default=None, foreign_key="scan.id", ondelete="CASCADE", index=True)
    appliance_id: int | None = Field(default=None, foreign_key="appliance.id", ondelete="CASCADE", index=True)
    name: str
    type: str
    """The builder's type: `openstack`."""
    disk_size: int
    """MiB"""
    memory: int
    """MiB"""
    spec: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    profile: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """UForge's installProfile as it was sent, which clients compare with what they are told."""
    revision: int = 1
    """Which image of its kind it is that its source got, counted from 1."""
    download_key: str = Field(default_factory=lambda: secrets.token_urlsafe(24))
    """Who knows it downloads the image without a login."""
    job_id: int = Field(foreign_key="job.id")
    created: str
