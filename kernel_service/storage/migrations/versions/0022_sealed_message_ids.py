"""Message ids that are digested and sealed. Existing ones are sealed while the service runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("message", sa.Column("sealed_id", sa.LargeBinary(), nullable=True))
    op.add_column("reply", sa.Column("answers_seq", sa.BigInteger(), nullable=True))
    op.create_table(
        "backfill",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_backfill"),
    )
    # From the first row, unless the database is new; the last step clears deleted rows from the disk.
    for name in ("message", "reply", "vacuum"):
        op.execute(f"INSERT INTO backfill SELECT '{name}', 0 WHERE EXISTS (SELECT 1 FROM person)")  # noqa: S608 - ours
    # An older program would not find a repeated message by its digest.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (22, 22)")
