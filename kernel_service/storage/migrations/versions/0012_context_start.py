"""The start of the model's context."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kernel", sa.Column("context_start", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (12, 9)")
