"""The time zones of people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("kernel", sa.Column("time_zone", sa.LargeBinary(), nullable=True))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (18, 16)")
