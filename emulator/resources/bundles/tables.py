"""Bundles of users' libraries (UForge: my software), and what is under way for them: exports and imports of archives."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Bundle(Row, table=True):
    """One bundle. Its files lie in the data folder.

    It is there for its user when the job that makes it is done (`job_id` None: made at once).
    """

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    name: str = ""
    version: str = ""
    document: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """The bundle as it was given; every `source` names a file of its folder."""
    size: int = 0
    """Bytes of its files."""
    imported: bool = False
    job_id: int | None = Field(default=None, foreign_key="job.id")
    created: str
    modified: str


class BundleExport(Row, table=True):
    """One archive of a bundle, made by its job."""

    __tablename__ = "bundle_export"

    id: int | None = Field(default=None, primary_key=True)
    bundle_id: int = Field(foreign_key="bundle.id", ondelete="CASCADE", index=True)
    format: str
    """`yaml` or `json`"""
    job_id: int = Field(foreign_key="job.id")
    created: str


class BundleImport(Row, table=True):
    """One archive that becomes a bundle. Without a job nothing was uploaded yet."""

    __tablename__ = "bundle_import"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    imported: bool = False
    bundle_id: int | None = Field(default=None, foreign_key="bundle.id", ondelete="SET NULL")
    job_id: int | None = Field(default=None, foreign_key="job.id")
    created: str
