"""The tools that people use, and whether a person was informed that the assistant is busy."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("turn", sa.Column("told_busy", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "tool_usage",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seconds", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_tool_usage_person_id")),
        sa.PrimaryKeyConstraint("person_id", "day", "tool", name=op.f("pk_tool_usage")),
    )
    op.create_index(op.f("ix_tool_usage_day"), "tool_usage", ["day"])
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (6, 5)")
