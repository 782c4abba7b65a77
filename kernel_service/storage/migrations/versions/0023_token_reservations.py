"""The tokens that running requests may cost, counted before the requests are made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_reservation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("headroom", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_token_reservation_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_reservation")),
    )
    for column in ("person_id", "day", "until"):
        op.create_index(op.f(f"ix_token_reservation_{column}"), "token_reservation", [column])
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (23, 22)")
