"""People whom an operator deletes: their mark, their messages that may be redelivered, what the vendor must remove."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("person", sa.Column("deleted_at", sa.Float()))
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index("ix_person_deleted", "person", ["id"], sqlite_where=deleted, postgresql_where=deleted)
    op.create_table(
        "forgotten_message",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "sender", name=op.f("pk_forgotten_message")),
    )
    op.create_index("ix_forgotten_message_until", "forgotten_message", ["until"])
    op.create_table(
        "revocation",
        sa.Column("vendor_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("vendor_id", name=op.f("pk_revocation")),
    )
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (36, 36)")
