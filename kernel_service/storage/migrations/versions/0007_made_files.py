"""Files that tools make for people: kept until the reply that they go with is settled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("media", sa.Column("reply_id", sa.String(), server_default="", nullable=False))
    # An older program could not read a reply with files, and would delete these before it is sent.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (7, 7)")
