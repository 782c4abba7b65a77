"""Links that only their person can use, and requests that wait for a connection."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LIVE = "state IN ('open', 'claimed', 'started', 'returned', 'completing')"


def upgrade() -> None:
    with op.batch_alter_table("connection") as connection:
        connection.alter_column("account_id", existing_type=sa.String(), nullable=True)
        connection.drop_column("link")
        connection.add_column(sa.Column("private", sa.LargeBinary(), nullable=True))
        connection.add_column(sa.Column("remove_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        op.f("ix_connection_remove_due"),
        "connection",
        ["id"],
        sqlite_where=sa.text("remove_due"),
        postgresql_where=sa.text("remove_due"),
    )
    # An older link redirected to the vendor at once, so its result could not be proven to belong to its person.
    op.execute("UPDATE connection SET status = 'expired', remove_due = true WHERE status = 'pending'")
    op.create_table(
        "connect_attempt",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("deadline", sa.Float(), nullable=False),
        sa.Column("door_digest", sa.LargeBinary(), nullable=False),
        sa.Column("return_digest", sa.LargeBinary(), nullable=True),
        sa.Column("browser_digest", sa.LargeBinary(), nullable=True),
        sa.Column("reader_digest", sa.LargeBinary(), nullable=True),
        sa.Column("code_digest", sa.LargeBinary(), nullable=True),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("wrong_codes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_connect_attempt_connection_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_connect_attempt_person_id")),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_connect_attempt")),
        sa.UniqueConstraint("door_digest", name=op.f("uq_connect_attempt_door_digest")),
        sa.UniqueConstraint("return_digest", name=op.f("uq_connect_attempt_return_digest")),
        sa.UniqueConstraint("code_digest", name=op.f("uq_connect_attempt_code_digest")),
    )
    op.create_index(op.f("ix_connect_attempt_person_id"), "connect_attempt", ["person_id"])
    op.create_index(op.f("ix_connect_attempt_browser_digest"), "connect_attempt", ["browser_digest"])
    op.create_index(
        op.f("ix_connect_attempt_live"),
        "connect_attempt",
        ["deadline"],
        sqlite_where=sa.text(_LIVE),
        postgresql_where=sa.text(_LIVE),
    )
    op.create_table(
        "stray_session",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_stray_session")),
    )
    op.create_index(op.f("ix_stray_session_seen_at"), "stray_session", ["seen_at"])
    op.create_table(
        "parked_request",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("turn_id", sa.String(), nullable=False),
        sa.Column("toolkits", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("resumed_by", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_at", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_parked_request_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_request")),
    )
    op.create_index(op.f("ix_parked_request_person_id_id"), "parked_request", ["person_id", "id"])
    op.create_table(
        "chat",
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", name=op.f("pk_chat")),
    )
    # An older program would accept the consent of a link as proof.
    op.execute("INSERT INTO schema_version (number, oldest_reader) VALUES (5, 5)")
