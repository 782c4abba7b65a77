"""People, the ids that channels know them by, and how their chats are opened."""

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
)

person = Table(
    "person",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
    Column("data_key", Wrapped, nullable=False),
    Column("key_id", Text, nullable=False, index=True),
    # Every sealed value of theirs is bound to its place, and none of before is accepted. Their data key says so too: it
    # is wrapped for this column.
    no("bound"),
    # Who they turned out to be; never somebody who was merged, too.
    Column("merged_into", Text),
)

partial_index("ix_person_merged_into", person.c.merged_into, where="merged_into IS NOT NULL")

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
    # When a channel said that it is the person's id from now on, and when that another one took its place.
    Column("linked_at", Float),
    Column("replaced_at", Float),
    # Weak ones: when a message came from it last, to within a part of KERNEL_WEAK_ID_DAYS; null: when it was made.
    Column("heard_at", Float),
    # An id is looked for in every scope at once.
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
    # While nobody is known by the previous id: the current one, sealed with a master key, since it is nobody's yet.
    Column("awaiting_key_id", Text),
    Column("awaiting", Wrapped),
)

# People whom a channel takes for one, and who both have connections: an operator decides.
kept_apart = Table(
    "kept_apart",
    metadata,
    Column("first_id", Text, ForeignKey("person.id"), primary_key=True),
    Column("second_id", Text, ForeignKey("person.id"), primary_key=True, index=True),
    Column("since", Float, nullable=False),
)

# How a browser opens the chat of an address, as its channel said last.
chat = Table(
    "chat",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("link", Text, nullable=False),
)
