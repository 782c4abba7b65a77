"""The index of messages by their turns is without the messages that no turn has: their acceptance does not write it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_message_turn_id", "message")
    in_turns = sa.text("turn_id IS NOT NULL")
    op.create_index("ix_message_turn_id", "message", ["turn_id"], sqlite_where=in_turns, postgresql_where=in_turns)
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (33, 32)")
