"""Joining and stopping turns, crashes counted apart from failures, dead letters, the receipt clock."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _add("message", _empty("command"), _no("alone"))
    _add("turn", _zero("deaths"), _empty("attempt_owner"), _zero("joins"), _no("closed"), _no("stopped"))
    _add("item", _no("superseded"))
    _add("reply", sa.Column("doubtful_receipts", sa.Float(), nullable=True))
    op.create_table(
        "receipt_clock",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("last_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_receipt_clock")),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("message_seq", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("dead_at", sa.Float(), nullable=False),
        sa.Column("requeued_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_dead_letter_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
    )
    op.create_index(op.f("ix_dead_letter_person_id"), "dead_letter", ["person_id"])
    op.create_index(op.f("ix_dead_letter_message_seq"), "dead_letter", ["message_seq"])
    # A program of the first schema would show the model superseded items.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (2, 2)")


def _add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column)


def _empty(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), server_default="", nullable=False)


def _zero(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _no(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
