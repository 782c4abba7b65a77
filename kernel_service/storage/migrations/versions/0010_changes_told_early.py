"""Changes of an id that are reported before the change that created it."""

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
    # Without statistics SQLite uses the newest of the applicable indexes: it must be the small one, and not that of all
    # messages of a person.
    op.drop_index("ix_message_open", "message")
    open_ = sa.text("status IN ('accepted', 'held')")
    op.create_index("ix_message_open", "message", ["person_id", "seq"], sqlite_where=open_, postgresql_where=open_)
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (10, 9)")
