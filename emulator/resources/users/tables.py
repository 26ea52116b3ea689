"""Who may log in."""

from __future__ import annotations

from sqlmodel import Field, SQLModel


class User(SQLModel, table=True):
    """A login with its password's hash (`emulator.auth.hash_password`)."""

    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True)
    login: str = Field(unique=True)
    password: str
    created: str
