"""The number of a person's replies by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("replies", "fixed_replies"):
        op.add_column("usage", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (25, 24)")
