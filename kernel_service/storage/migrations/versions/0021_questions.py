"""Approval prompts for several calls at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # An older prompt is for one call.
    op.add_column("approval", sa.Column("question_id", sa.String(), nullable=False, server_default=""))
    op.execute("UPDATE approval SET question_id = id")
    op.create_index(op.f("ix_approval_question_id"), "approval", ["question_id"])
    # An older program cannot distinguish a button for one call from one for several.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (21, 21)")
