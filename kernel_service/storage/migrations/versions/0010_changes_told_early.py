"""Changes of an id that are told before the one that made it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("identity_link", sa.Column("awaiting_key_id", sa.String(), nullable=True))
    op.add_column("identity_link", sa.Column("awaiting", sa.LargeBinary(), nullable=True))
    # Without statistics SQLite takes the newest of the indexes that would do: it is to be the small one, rather than
    # that of all messages which a person has ever sent.
    op.drop_index("ix_message_open", "message")
    open_ = sa.text("status IN ('accepted', 'held')")
    op.create_index("ix_message_open", "message", ["person_id", "seq"], sqlite_where=open_, postgresql_where=open_)
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (10, 9)")
