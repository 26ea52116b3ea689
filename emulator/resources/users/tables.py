"""Who may log in, with what, and how much he may make."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from emulator.storage.row import Row


class User(Row, table=True):
    """A login with its password's hash (`emulator.auth.hash_password`)."""

    id: int | None = Field(default=None, primary_key=True)
    login: str = Field(unique=True)
    password: str
    created: str
    admin: bool = False
    """May manage users, and act as any of them by the login `ADMIN\\USER`."""
    email: str = ""
    first_name: str = ""
    surname: str = ""
    seeded: str = ""
    """Hash of the password that the settings gave to the first user; empty for all others."""


class ApiKey(Row, table=True):
    """A pair of keys. The secret one is needed in clear to check signatures, so it is sealed (`emulator.storage.vault`), not hashed."""

    __tablename__ = "api_key"

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    public: str = Field(unique=True)
    secret: str
    created: str


class Quota(Row, table=True):
    """How much of one type a user may have; no row: as much as he likes."""

    __table_args__ = (UniqueConstraint("user_id", "type"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE")
    type: str
    limit: int
