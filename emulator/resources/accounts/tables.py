"""Accounts at clouds, as their owners gave them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlmodel import Field

from emulator.storage import stamp
from emulator.storage.row import Row


class CloudAccount(Row, table=True):
    """One account. What is secret of it lies sealed in `secrets` (`emulator.storage.vault`) and is never told."""

    __tablename__ = "cloud_account"
    __table_args__ = (UniqueConstraint("user_id", "name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    name: str
    kind: str = "cloud"
    """`local`: the cloud of this machine, which every user has; `cloud`: any other"""
    platform: str
    """Name of the target platform in the catalogue."""
    fields: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """The type's own elements that are no secrets."""
    secrets: str = ""
    """A JSON object, sealed."""
    held: list[str] = Field(default_factory=list, sa_type=JSON)
    """Which secrets there are."""
    created: str


LOCAL = "local"


def local_account(user_id: int, login: str) -> CloudAccount:
    """A new row of the account that every user has from the start: the cloud of this machine."""
    fields = {"glanceUrl": "local:", "keystoneUrl": "local:", "keystoneVersion": "v3", "login": login}
    return CloudAccount(user_id=user_id, name=LOCAL, kind=LOCAL, platform="OpenStack", fields=fields, held=["password"], created=stamp.now())
