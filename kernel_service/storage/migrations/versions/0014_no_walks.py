"""Indexes instead of table scans, and the usage of all people by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "model_calls", "tool_calls")


def upgrade() -> None:
    # Few of all replies are in these states, so an index of them alone stays small.
    op.drop_index("ix_reply_channel_state", "reply")
    op.drop_index("ix_reply_person_id_state", "reply")
    op.create_index("ix_reply_person_id_seq", "reply", ["person_id", "seq"])
    _partial("ix_reply_unsettled", "reply", ["person_id", "seq"], "state IN ('pending', 'leased', 'in_doubt', 'held')")
    _partial("ix_reply_pending", "reply", ["channel", "seq"], "state = 'pending'")

    op.drop_index("ix_connect_attempt_live", "connect_attempt")
    live = "state IN ('open', 'claimed', 'started', 'returned', 'completing')"
    _partial("ix_connect_attempt_live", "connect_attempt", ["connection_id"], live)
    _partial("ix_item_superseded", "item", ["turn_id"], "superseded")

    for table in ("approval", "parked_request", "connect_attempt"):
        op.create_index(f"ix_{table}_created_at", table, ["created_at"])
    _partial("ix_connection_ended", "connection", ["created_at"], "status NOT IN ('active', 'unconfirmed')")

    op.create_table(
        "usage_of_all",
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("share", sa.Integer(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("day", "share", name="pk_usage_of_all"),
    )
    sums = ", ".join(f"SUM({name})" for name in _COUNTS)
    op.execute(f"INSERT INTO usage_of_all SELECT day, 0, {sums} FROM usage GROUP BY day")  # noqa: S608 - our own names
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (14, 9)")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
