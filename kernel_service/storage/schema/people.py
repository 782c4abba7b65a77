"""People, the ids by which channels know them, and how a browser opens their chats."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Table,
    text,
)

from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Text,
    Wrapped,
    metadata,
    no,
    partial_index,
    person_id,
    zero,
)

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("data_key", Wrapped, nullable=False),
    Column("key_id", Text, nullable=False, index=True),
    # Every sealed value of the person is bound to its place, and older unbound values are rejected. Their data key
    # states this too: it is wrapped for this column.
    no("bound"),
    # The person into whom this one was merged. That person is never merged themselves.
    Column("merged_into", Text),
    # The number of the newest fact that was ever stored about them.
    zero("last_fact"),
    # When an operator deleted them. The row stays until all that refers to it is gone; see storage/deleting.
    Column("deleted_at", Float),
)

partial_index("ix_person_merged_into", person.c.merged_into, where="merged_into IS NOT NULL")

PERSON_DELETED = text("person.deleted_at IS NOT NULL")

partial_index("ix_person_deleted", person.c.id, where="deleted_at IS NOT NULL")

PERSON_UNBOUND = text("NOT person.bound")

partial_index("ix_person_unbound", person.c.id, where="NOT bound")

alias = Table(
    "alias",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("digest", Digest, primary_key=True),
    person_id(index=True),
    Column("strong", Boolean, nullable=False),
    Column("value", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    # When a channel announced this id as the person's current id, and when another id replaced it.
    Column("linked_at", Float),
    Column("replaced_at", Float),
    # Weak ids: when the last message came from it, to within a fraction of KERNEL_WEAK_ID_DAYS; null: at its creation.
    Column("heard_at", Float),
    # An id is looked up in all scopes at once.
    Index("ix_alias_channel_digest", "channel", "digest"),
)

# Recent notices of changed ids and their outcomes: a repeated notice changes nothing.
identity_link = Table(
    "identity_link",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("previous_scope", Text, primary_key=True),
    Column("previous_digest", Digest, primary_key=True),
    Column("current_scope", Text, primary_key=True),
    Column("current_digest", Digest, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("told_at", Float, nullable=False, index=True),
    # While the previous id is unknown: the current id, sealed with a master key because it has no owner yet.
    Column("awaiting_key_id", Text),
    Column("awaiting", Wrapped),
)

# Pairs of people whom a channel reports as the same person, and who both have connections. An operator decides.
kept_apart = Table(
    "kept_apart",
    metadata,
    Column("first_id", Text, ForeignKey("person.id"), primary_key=True),
    Column("second_id", Text, ForeignKey("person.id"), primary_key=True, index=True),
    Column("since", Float, nullable=False),
)

# How a browser opens the chat of an address, by the channel's latest report.
chat = Table(
    "chat",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("link", Text, nullable=False),
)
