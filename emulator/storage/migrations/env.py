"""Alembic's entry: runs the revisions on the connection that `emulator.storage.schema` hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

from emulator.storage import tables  # noqa: F401  (the tables register themselves when imported)

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
