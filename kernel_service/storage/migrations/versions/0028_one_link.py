"""One unfollowed link per person and toolkit, and the unmatched sessions beyond the rate limits, for all processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null for existing links, which can be followed for half an hour: two of them may be of one toolkit.
    op.add_column("connect_attempt", sa.Column("toolkit", sa.String(), nullable=True))
    op.create_index(
        op.f("ix_connect_attempt_open"),
        "connect_attempt",
        ["person_id", "toolkit"],
        unique=True,
        sqlite_where=sa.text("state IN ('open')"),
        postgresql_where=sa.text("state IN ('open')"),
    )
    op.create_table(
        "stray_batch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stray_batch")),
    )
    op.create_index(op.f("ix_stray_batch_seen_at"), "stray_batch", ["seen_at"])
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (28, 27)")
