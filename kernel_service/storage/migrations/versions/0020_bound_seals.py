"""Seals are bound to their places; master keys are found by their ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("bound", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index(op.f("ix_person_key_id"), "person", ["key_id"])
    op.create_index(
        "ix_person_unbound", "person", ["id"], sqlite_where=sa.text("NOT bound"), postgresql_where=sa.text("NOT bound")
    )
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (20, 20)")
