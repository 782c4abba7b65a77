"""Connections to accounts, how they come about, and what waits for them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Table,
    text,
    true,
)

from kernel_service.ports.connect_attempts import LIVE
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Text,
    empty,
    metadata,
    no,
    none_of,
    one_of,
    partial_index,
    person_id,
    zero,
)

connection = Table(
    "connection",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(index=True),
    Column("toolkit", Text, nullable=False),
    empty("toolkit_name"),
    # Null until somebody follows the link.
    Column("account_id", Text, unique=True),
    # Whose the account is at the vendor: of somebody who was merged into the person; empty: the person's own.
    empty("made_for"),
    Column("status", Text, nullable=False),
    # Its link, and what the person calls it.
    Column("private", Sealed),
    Column("created_at", Float, nullable=False),
    Column("confirmed_at", Float),
    # Barred, and the vendor is still to remove the account.
    no("remove_due"),
)

REMOVE_DUE = text("connection.remove_due")

partial_index("ix_connection_remove_due", connection.c.id, where="remove_due")

_AUTHORISED = (ConnectionStatus.ACTIVE, ConnectionStatus.UNCONFIRMED)
CONNECTION_ENDED = text(none_of("connection.status", _AUTHORISED))

partial_index("ix_connection_ended", connection.c.created_at, where=none_of("status", _AUTHORISED))

# How a connection comes about: what secrets it is found by, how far it is. A row goes with its connection.
connect_attempt = Table(
    "connect_attempt",
    metadata,
    Column("connection_id", Text, ForeignKey("connection.id"), primary_key=True),
    person_id(index=True),
    # The chat that it is for.
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("state", Text, nullable=False),
    # When it lapses unless it gets further.
    Column("deadline", Float, nullable=False),
    Column("door_digest", Digest, nullable=False, unique=True),
    Column("return_digest", Digest, unique=True),
    Column("browser_digest", Digest, index=True),
    Column("code_digest", Digest, unique=True),
    # The vendor's link, the verifier's session, the code.
    Column("secrets", Sealed, nullable=False),
    zero("wrong_codes"),
    Column("created_at", Float, nullable=False, index=True),
)

ATTEMPT_LIVE = text(one_of("connect_attempt.state", LIVE))

partial_index(
    "ix_connect_attempt_live",
    connect_attempt.c.connection_id,
    where=one_of("state", LIVE),
)

# Verifiers' sessions that came with a browser that nobody had sent on: who brings one later has it from there.
stray_session = Table(
    "stray_session",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("seen_at", Float, nullable=False, index=True),
)

# What turns left to be done once toolkits are connected.
parked_request = Table(
    "parked_request",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(),
    Column("turn_id", Text, nullable=False),
    # Those that it still waits for, with commas.
    Column("toolkits", Text, nullable=False),
    # Of its words: asked for again, it is still one.
    Column("digest", Digest, nullable=False),
    # What the model wrote, and the person's own messages.
    Column("words", Sealed, nullable=False),
    # Their numbers, with commas; null: an earlier release kept the words alone, as plain text.
    Column("messages", Text),
    # Whether content from outside was before the model.
    Column("tainted", Boolean, nullable=False, server_default=true()),
    Column("created_at", Float, nullable=False, index=True),
    # The message with which it goes on.
    Column("resumed_by", BigInteger),
    # Taken back ("stop").
    Column("withdrawn_at", Float),
    Index("ix_parked_request_person_id_id", "person_id", "id"),
)
