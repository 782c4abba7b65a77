"""The origin of a request that waits for a connection: its messages, and whether outside content may have shaped it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("parked_request", sa.Column("messages", sa.String(), nullable=True))
    op.add_column("parked_request", sa.Column("tainted", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (26, 26)")
