"""A person is found by an id without a scan of all ids."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Built in the migration's transaction, so an interrupted build leaves nothing behind. It blocks no process: only
    # the active one writes, and it migrates before it serves. (CONCURRENTLY would wait for ever for a standby, whose
    # wait for the lock is a running statement.)
    op.create_index("ix_alias_channel_digest", "alias", ["channel", "digest"])
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (11, 9)")
