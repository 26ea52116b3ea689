"""The first shape of the database: users, scans, images, jobs, faults. New databases are made by `create_all` and stamped with it."""

from __future__ import annotations

from alembic import op
from sqlmodel import SQLModel

from emulator.storage import tables  # noqa: F401  (the tables register themselves when imported)

revision = "0001"
down_revision = None


def upgrade() -> None:
    SQLModel.metadata.create_all(op.get_bind())


def downgrade() -> None:
    SQLModel.metadata.drop_all(op.get_bind())
