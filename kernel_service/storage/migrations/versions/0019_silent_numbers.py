"""When something came from a weak id last: after a long silence it finds nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# Messages are kept for a month. Of whom none is left nothing is known but when they came.
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
