"""The memory of each person: a few facts, and the time zone that they state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fact",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.String(), server_default="", nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_fact_person_id")),
        sa.PrimaryKeyConstraint("person_id", "number", name=op.f("pk_fact")),
    )
    op.add_column("person", sa.Column("last_fact", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("kernel", sa.Column("said_time_zone", sa.LargeBinary()))
    # An older program has no command that lists them, and does not delete them with their person.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (31, 31)")
