"""Connections store the name by which people call their toolkit; one browser makes all steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection", sa.Column("toolkit_name", sa.String(), server_default="", nullable=False))
    op.drop_column("connect_attempt", "reader_digest")
    op.drop_column("connection", "link_expires_at")
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (9, 9)")
