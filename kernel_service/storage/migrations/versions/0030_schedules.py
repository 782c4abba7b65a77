"""Schedules of people, and the subject of each reply.

A program of an earlier release cannot read the messages that a due schedule puts into the inbox.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("cron", sa.String(), server_default="", nullable=False),
        sa.Column("at", sa.Float()),
        sa.Column("time_zone", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("tainted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("next_due_at", sa.Float()),
        sa.Column("paused_at", sa.Float()),
        sa.Column("last_run_at", sa.Float()),
        sa.Column("last_seq", sa.BigInteger()),
        sa.Column("silent_runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_schedule_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
    )
    op.create_index("ix_schedule_person_id_request_digest", "schedule", ["person_id", "request_digest"], unique=True)
    op.create_index(
        "ix_schedule_due",
        "schedule",
        ["next_due_at"],
        sqlite_where=sa.text("next_due_at IS NOT NULL"),
        postgresql_where=sa.text("next_due_at IS NOT NULL"),
    )
    op.add_column("reply", sa.Column("subject", sa.String(), server_default="", nullable=False))
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (30, 30)")
