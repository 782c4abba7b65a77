"""Triggers, for which the tools' vendor watches people's accounts, and their events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trigger",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("vendor_id", sa.String()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("due_at", sa.Float()),
        sa.Column("unseen", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("told_seq", sa.BigInteger()),
        sa.Column("told_at", sa.Float()),
        sa.Column("limited_at", sa.Float()),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_trigger_person_id")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_trigger_connection_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trigger")),
        sa.UniqueConstraint("vendor_id", name=op.f("uq_trigger_vendor_id")),
    )
    op.create_index("ix_trigger_person_id", "trigger", ["person_id"])
    op.create_index("ix_trigger_connection_id_digest", "trigger", ["connection_id", "digest"], unique=True)
    _partial_index("ix_trigger_due", ["due_at"], "due_at IS NOT NULL")
    _partial_index("ix_trigger_unsettled", ["id"], "status IN ('creating', 'ended')")
    op.create_table(
        "trigger_event",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("trigger_id", sa.String(), nullable=False),
        sa.Column("words", sa.LargeBinary()),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("told_at", sa.Float()),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_trigger_event_person_id")),
        sa.ForeignKeyConstraint(["trigger_id"], ["trigger.id"], name=op.f("fk_trigger_event_trigger_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_trigger_event")),
    )
    for column in ("person_id", "trigger_id", "received_at"):
        op.create_index(f"ix_trigger_event_{column}", "trigger_event", [column])
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (32, 32)")


def _partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "trigger", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
