"""Appliances (UForge's word for templates) and what is under way for them: exports, imports, imports of scans."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from emulator.storage.row import Row


class Appliance(Row, table=True):
    """One template. Its files, and the scan that it may come from, lie in the data folder.

    It is there for its user when the job that makes it is done (`job_id` None: made at once).
    """

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    name: str = ""
    version: str = ""
    description: str = ""
    distribution: str = ""
    """`Debian 12`, as lists show it."""
    arch: str = ""
    stack: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """The stack section as it was given; every `source` names a file of the template's folder."""
    scanned: bool = False
    """Whether it holds a scan."""
    imported: bool = False
    job_id: int | None = Field(default=None, foreign_key="job.id")
    created: str
    modified: str


class ApplianceExport(Row, table=True):
    """One archive of a template, made by its job."""

    __tablename__ = "appliance_export"

    id: int | None = Field(default=None, primary_key=True)
    appliance_id: int = Field(foreign_key="appliance.id", ondelete="CASCADE", index=True)
    format: str
    """`yaml` or `json`"""
    job_id: int = Field(foreign_key="job.id")
    created: str


class ApplianceImport(Row, table=True):
    """One archive that becomes a template. Without a job nothing was uploaded yet."""

    __tablename__ = "appliance_import"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    imported: bool = False
    force: bool = False
    reuse_bundles: bool = False
    use_major: bool = False
    appliance_id: int | None = Field(default=None, foreign_key="appliance.id", ondelete="SET NULL")
    job_id: int | None = Field(default=None, foreign_key="job.id")
    created: str


class ScanImport(Row, table=True):
    """One scan that becomes a template."""

    __tablename__ = "scan_import"

    id: int | None = Field(default=None, primary_key=True)
    scan_id: int = Field(foreign_key="scan.id", ondelete="CASCADE", index=True)
    appliance_id: int | None = Field(default=None, foreign_key="appliance.id", ondelete="SET NULL")
    name: str
    version: str
    job_id: int = Field(foreign_key="job.id")
    created: str
