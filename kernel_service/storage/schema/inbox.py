"""Accepted messages."""

from __future__ import annotations

from typing import Final

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

NOBODY: Final = b""
"""The sender's digest of a message that the service itself puts into an inbox: no id of a person has it."""

message = Table(
    "message",
    metadata,
    Column("seq", Serial, primary_key=True),
    person_id(),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_digest", Digest, nullable=False),
    # Its digest, and the id itself, sealed. A row of an earlier release holds the id and null until it is sealed.
    Column("message_id", Text, nullable=False),
    Column("sealed_id", Sealed),
    Column("payload_digest", Digest, nullable=False),
    Column("reply_mode", Text, nullable=False),
    Column("payload", Sealed, nullable=False),
    Column("accepted_at", Float, nullable=False),
    # The channel's time, as far as it is trusted. Messages that wait for a turn are ordered by it.
    Column("sent_at", Float, nullable=False, server_default=text("0")),
    Column("status", Text, nullable=False),
    Column("turn_id", Text),
    # The command that was recognised on acceptance ("stop"); empty: a message to answer.
    empty("command"),
    # Never answered together with other messages.
    no("alone"),
    # Until when the message waits for its file; null: it waits for none.
    Column("waits_until", Float),
    UniqueConstraint("channel", "address", "user_digest", "message_id"),
    sqlite_autoincrement=True,
)

Index("ix_message_person_id_seq", message.c.person_id, message.c.seq)

# The acceptance of a message need not write this index, because no turn has it yet.
partial_index("ix_message_turn_id", message.c.turn_id, where="turn_id IS NOT NULL")

# Unanswered messages are queried constantly, so this index contains only them and stays small.
MESSAGE_OPEN = text(one_of("message.status", OPEN))

partial_index(
    "ix_message_open",
    message.c.person_id,
    message.c.sent_at,
    message.c.seq,
    where=one_of("status", OPEN),
)

# Messages of people who were deleted, for as long as a channel may deliver them again: a repeat is not answered. No row
# reveals whose message it was, and no two rows reveal a common sender.
forgotten_message = Table(
    "forgotten_message",
    metadata,
    # As in `message`.
    Column("message_id", Text, primary_key=True),
    # Digest of the chat, the sender's digest and the message's id.
    Column("sender", Digest, primary_key=True),
    Column("until", Float, nullable=False, index=True),
)
