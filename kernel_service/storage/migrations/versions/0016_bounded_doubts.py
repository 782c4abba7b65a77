"""A doubt counts the time for which its channel had a connected consumer; repeated sends are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    zero = sa.text("0")
    op.add_column("reply", sa.Column("doubt_attended", sa.Float(), server_default=zero, nullable=False))
    op.add_column("reply", sa.Column("repeats", sa.Integer(), server_default=zero, nullable=False))
    op.drop_column("reply", "doubtful_receipts")
    op.drop_table("receipt_clock")
    # An older program would count a doubt by the receipts.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (16, 16)")
