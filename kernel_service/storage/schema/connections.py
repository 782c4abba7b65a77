"""Connections to accounts, the attempts that create them, and the requests that wait for them."""

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

from kernel_service.ports.connect_attempts import LIVE, ConnectAttemptState
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
    # Null until the person follows the link.
    Column("account_id", Text, unique=True),
    # The vendor's user of the account: a person who was merged into this one. Empty: this person.
    empty("made_for"),
    Column("status", Text, nullable=False),
    # Its link, and the person's name for it.
    Column("private", Sealed),
    Column("created_at", Float, nullable=False),
    Column("confirmed_at", Float),
    # Barred; the vendor has not yet removed the account.
    no("remove_due"),
)

REMOVE_DUE = text("connection.remove_due")

partial_index("ix_connection_remove_due", connection.c.id, where="remove_due")

_AUTHORISED = (ConnectionStatus.ACTIVE, ConnectionStatus.UNCONFIRMED)
CONNECTION_ENDED = text(none_of("connection.status", _AUTHORISED))

partial_index("ix_connection_ended", connection.c.created_at, where=none_of("status", _AUTHORISED))

# An attempt to connect: the secrets that identify it, and its progress. A row is deleted with its connection.
connect_attempt = Table(
    "connect_attempt",
    metadata,
    Column("connection_id", Text, ForeignKey("connection.id"), primary_key=True),
    person_id(index=True),
    # That of its connection. Null: a row from before this column.
    Column("toolkit", Text),
    # The chat in which the person asked for it.
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("state", Text, nullable=False),
    # When it expires unless it makes progress.
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

_OPEN = (ConnectAttemptState.OPEN,)
ATTEMPT_OPEN = text(one_of("connect_attempt.state", _OPEN))

# A person has one unfollowed link per toolkit, also if several processes make one at once.
partial_index(
    "ix_connect_attempt_open",
    connect_attempt.c.person_id,
    connect_attempt.c.toolkit,
    where=one_of("state", _OPEN),
    unique=True,
)

# Verifiers' sessions that arrived in a browser we had not sent to the vendor. A client that presents one later took it
# from that browser.
stray_session = Table(
    "stray_session",
    metadata,
    Column("digest", Digest, primary_key=True),
    Column("seen_at", Float, nullable=False, index=True),
)

# The same beyond the rate limits, where a row for each would be too many: the prefixes of their digests, concatenated.
stray_batch = Table(
    "stray_batch",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digests", Digest, nullable=False),
    Column("seen_at", Float, nullable=False, index=True),
)

# Requests that a turn left to be done once their toolkits are connected.
parked_request = Table(
    "parked_request",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(),
    Column("turn_id", Text, nullable=False),
    # The toolkits that it still waits for, comma-separated.
    Column("toolkits", Text, nullable=False),
    # Digest of the text: a repeated request is stored once.
    Column("digest", Digest, nullable=False),
    # The model's summary, and the person's own messages.
    Column("words", Sealed, nullable=False),
    # Their numbers, comma-separated; null: an earlier release kept only the summary, as plain text.
    Column("messages", Text),
    # Whether the model had seen content from outside.
    Column("tainted", Boolean, nullable=False, server_default=true()),
    Column("created_at", Float, nullable=False, index=True),
    # The message that resumes it.
    Column("resumed_by", BigInteger),
    # Withdrawn by the person ("stop").
    Column("withdrawn_at", Float),
    Index("ix_parked_request_person_id_id", "person_id", "id"),
)

# The vendor must still remove these: those of people who were deleted, and replaced sessions. A row has the vendor's
# id alone.
revocation = Table(
    "revocation",
    metadata,
    Column("vendor_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
)
