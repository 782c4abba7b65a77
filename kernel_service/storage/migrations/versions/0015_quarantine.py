"""Crash counts, with a separate one for crashes in which a turn ran alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Both databases rename in place; Alembic would copy the table on SQLite.
    op.execute("ALTER TABLE turn RENAME COLUMN deaths TO crash_count")
    op.add_column("turn", sa.Column("crashes_alone", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("turn", sa.Column("attempt_alone", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (15, 15)")
