"""Messages as they were accepted."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    Index,
    Table,
    UniqueConstraint,
    text,
)

from kernel_service.ports.states.message import OPEN
from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Serial,
    Text,
    empty,
    metadata,
    no,
    one_of,
    partial_index,
    person_id,
)

message = Table(
    "message",
    metadata,
    Column("seq", Serial, primary_key=True),
    person_id(),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_digest", Digest, nullable=False),
    # Its digest, and the id itself, sealed. In a row of an earlier release, until it is sealed: the id, and null.
    Column("message_id", Text, nullable=False),
    Column("sealed_id", Sealed),
    Column("payload_digest", Digest, nullable=False),
    Column("reply_mode", Text, nullable=False),
    Column("payload", Sealed, nullable=False),
    Column("accepted_at", Float, nullable=False),
    # As far as the channel's clock is believed; what waits for a turn goes by it.
    Column("sent_at", Float, nullable=False, server_default=text("0")),
    Column("status", Text, nullable=False),
    Column("turn_id", Text, index=True),
    # What was recognised when it was accepted ("stop"); empty: something to answer.
    empty("command"),
    # Never answered together with others.
    no("alone"),
    # Until when its file is waited for; null: it has all that it will have.
    Column("waits_until", Float),
    UniqueConstraint("channel", "address", "user_digest", "message_id"),
    sqlite_autoincrement=True,
)

Index("ix_message_person_id_seq", message.c.person_id, message.c.seq)

# What is still to be answered is looked for all the time; this index stays as small as that.
MESSAGE_OPEN = text(one_of("message.status", OPEN))

partial_index(
    "ix_message_open",
    message.c.person_id,
    message.c.sent_at,
    message.c.seq,
    where=one_of("status", OPEN),
)
