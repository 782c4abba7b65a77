"""Messages that wait for a turn are ordered by when they were sent, and "stop" uses that order, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("sent_at", sa.Float(), server_default=sa.text("0"), nullable=False))
    # The order of all other messages is never read again, and there may be millions of them.
    op.execute("UPDATE message SET sent_at = accepted_at WHERE status IN ('accepted', 'held')")
    op.drop_index("ix_message_open", "message")
    open_ = sa.text("status IN ('accepted', 'held')")
    op.create_index(
        "ix_message_open", "message", ["person_id", "sent_at", "seq"], sqlite_where=open_, postgresql_where=open_
    )
    op.add_column("kernel", sa.Column("stopped_at", sa.Float(), nullable=True))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (13, 9)")
