"""The limit of the model's context."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kernel", sa.Column("context_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (17, 16)")
