"""Downloads of the agent: each is stamped with a key of its own."""

from __future__ import annotations

from sqlmodel import Field

from emulator.storage.row import Row


class Download(Row, table=True):
    """One copy of the agent, and what became of it."""

    __tablename__ = "agent_download"

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    """`scan` or `migrate`"""
    key: str
    """32 bytes, hexadecimal: known to this copy and to the service only."""
    address: str = Field(index=True)
    """Of the client that fetched it."""
    created: str
    scan_id: int | None = None
    """The scan that it reported for."""
    reason: str = ""
    """Why it will not report, in its own words."""
    given_up: bool = False
    """It was waited for in vain; it may come no more."""
