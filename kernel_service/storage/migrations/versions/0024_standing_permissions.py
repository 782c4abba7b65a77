"""Standing permissions: calls that need no further approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "standing_permission",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("tool", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_standing_permission_person_id")),
        sa.PrimaryKeyConstraint("person_id", "tool", "account", name=op.f("pk_standing_permission")),
    )
    # An older program has neither the button that grants one nor the phrases that revoke it.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (24, 24)")
