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
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (10, 9)")
