"""Faults belong to whoever set them. Those of before are everybody's, as they were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # The first revision makes the tables of today where there were none.
    if "user_id" in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("fault")}:
        return
    op.execute('ALTER TABLE fault ADD COLUMN user_id INTEGER REFERENCES "user" (id) ON DELETE CASCADE')
    op.create_index("ix_fault_user_id", "fault", ["user_id"])


def downgrade() -> None:
    op.drop_index("ix_fault_user_id", "fault")
    op.drop_column("fault", "user_id")
