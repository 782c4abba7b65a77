"""Ids that replace others, people who are merged or kept apart, accounts that remain after a merge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alias", sa.Column("linked_at", sa.Float(), nullable=True))
    op.add_column("alias", sa.Column("replaced_at", sa.Float(), nullable=True))
    op.add_column("connection", sa.Column("made_for", sa.String(), server_default="", nullable=False))
    op.create_index(
        "ix_person_merged_into",
        "person",
        ["merged_into"],
        sqlite_where=sa.text("merged_into IS NOT NULL"),
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_table(
        "identity_link",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("previous_scope", sa.String(), nullable=False),
        sa.Column("previous_digest", sa.LargeBinary(), nullable=False),
        sa.Column("current_scope", sa.String(), nullable=False),
        sa.Column("current_digest", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("told_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "channel",
            "previous_scope",
            "previous_digest",
            "current_scope",
            "current_digest",
            name=op.f("pk_identity_link"),
        ),
    )
    op.create_index(op.f("ix_identity_link_told_at"), "identity_link", ["told_at"])
    op.create_table(
        "kept_apart",
        sa.Column("first_id", sa.String(), nullable=False),
        sa.Column("second_id", sa.String(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["first_id"], ["person.id"], name=op.f("fk_kept_apart_first_id")),
        sa.ForeignKeyConstraint(["second_id"], ["person.id"], name=op.f("fk_kept_apart_second_id")),
        sa.PrimaryKeyConstraint("first_id", "second_id", name=op.f("pk_kept_apart")),
    )
    op.create_index(op.f("ix_kept_apart_second_id"), "kept_apart", ["second_id"])
    # An older program would attribute a recycled number to its former owner.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (3, 3)")
