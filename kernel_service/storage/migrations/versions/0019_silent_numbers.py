"""The time of the last message from a weak id: after a long silence the id no longer finds a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Messages are kept for a month. If none is left, only the creation time of the person is known.
_HEARD = """
UPDATE alias SET heard_at = (
    SELECT message.accepted_at FROM message
    WHERE message.person_id = alias.person_id ORDER BY message.seq DESC LIMIT 1
) WHERE NOT strong
"""


def upgrade() -> None:
    op.add_column("alias", sa.Column("heard_at", sa.Float(), nullable=True))
    op.execute(_HEARD)
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (19, 16)")
