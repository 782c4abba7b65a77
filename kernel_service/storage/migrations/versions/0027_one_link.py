"""One unfollowed link per person and toolkit, also if several processes make one at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null for the links of before, which can be followed for half an hour: two of them may be of one toolkit.
    op.add_column("connect_attempt", sa.Column("toolkit", sa.String(), nullable=True))
    op.create_index(
        op.f("ix_connect_attempt_open"),
        "connect_attempt",
        ["person_id", "toolkit"],
        unique=True,
        sqlite_where=sa.text("state IN ('open')"),
        postgresql_where=sa.text("state IN ('open')"),
    )
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (27, 26)")
