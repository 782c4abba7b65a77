"""Triggers, for which the vendor watches people's accounts, and the events that it reports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Table, text

from kernel_service.ports.triggers import TriggerStatus
from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Text,
    metadata,
    one_of,
    partial_index,
    person_id,
    zero,
)

trigger = Table(
    "trigger",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(index=True),
    Column("connection_id", Text, ForeignKey("connection.id"), nullable=False),
    # Digest of the kind of event and its settings: the vendor has one trigger for them.
    Column("digest", Digest, nullable=False),
    # The vendor's id; null until the vendor has returned it.
    Column("vendor_id", Text, unique=True),
    Column("status", Text, nullable=False),
    # The kind of event, its settings, what the person asked for.
    Column("private", Sealed, nullable=False),
    # The chat in which the person asked for it.
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    # When its waiting events become a message; null: none waits.
    Column("due_at", Float),
    # Waiting events that are only counted.
    zero("unseen"),
    # The newest message about its events, and when it was put into the inbox.
    Column("told_seq", BigInteger),
    Column("told_at", Float),
    # When the person was last informed that the daily limit is reached.
    Column("limited_at", Float),
    Index("ix_trigger_connection_id_digest", "connection_id", "digest", unique=True),
)

partial_index("ix_trigger_due", trigger.c.due_at, where="due_at IS NOT NULL")

TRIGGER_DUE = text("trigger.due_at IS NOT NULL")

_UNSETTLED = (TriggerStatus.CREATING, TriggerStatus.ENDED)
TRIGGER_UNSETTLED = text(one_of("trigger.status", _UNSETTLED))

partial_index("ix_trigger_unsettled", trigger.c.id, where=one_of("status", _UNSETTLED))

# A row is kept after its event became a message, so that a repeat is recognised.
trigger_event = Table(
    "trigger_event",
    metadata,
    # Keyed digest of the vendor's id of the event.
    Column("digest", Digest, primary_key=True),
    person_id(index=True),
    Column("trigger_id", Text, ForeignKey("trigger.id"), nullable=False, index=True),
    # Its id and data; null once they are in a message.
    Column("words", Sealed),
    Column("received_at", Float, nullable=False, index=True),
    # When the message that is named after it was put into the inbox.
    Column("told_at", Float),
)
