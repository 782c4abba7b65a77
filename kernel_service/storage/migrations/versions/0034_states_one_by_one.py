"""The index of the unsettled replies names its states one by one: SQLite makes a table of a list, each time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_reply_unsettled", "reply")
    unsettled = sa.text("(state = 'pending' OR state = 'leased' OR state = 'in_doubt' OR state = 'held')")
    op.create_index(
        "ix_reply_unsettled", "reply", ["person_id", "seq"], sqlite_where=unsettled, postgresql_where=unsettled
    )
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (34, 32)")
