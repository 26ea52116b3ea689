"""Images that were sent to clouds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Publication(Row, table=True):
    """One image in one cloud. Its state is its job's. It outlives the image that it was made from, and its account, as it does in the cloud."""

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    image_id: int | None = Field(default=None, foreign_key="image.id", ondelete="SET NULL", index=True)
    account_id: int | None = Field(default=None, foreign_key="cloud_account.id", ondelete="SET NULL")
    name: str
    """What the image is called in the cloud."""
    format: str
    """Name of the target format: `OpenStack QCOW2`"""
    image_uri: str
    source_uri: str
    """Of the scan or template that the image was made from."""
    account: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """The account as it was told when the image was sent; no secrets."""
    asked: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """`displayName`, `keystoneDomain`, `keystoneProject`, `tenantName`, `publicImage`"""
    cloud_id: str = ""
    """The cloud's own number of it; empty until there is one."""
    size: int = 0
    sha512: str = ""
    tenant: str = ""
    """Name of the project that owns it."""
    already: bool = False
    """The cloud had it before; nothing was sent."""
    job_id: int = Field(foreign_key="job.id")
    created: str
