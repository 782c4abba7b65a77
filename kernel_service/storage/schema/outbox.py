"""Replies, and the parts in which channels send them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    text,
)

from kernel_service.ports.states.reply import ON_ITS_WAY, UNSETTLED, ReplyState
from kernel_service.storage.schema.columns import (
    Sealed,
    Serial,
    Text,
    any_of,
    empty,
    metadata,
    one_of,
    partial_index,
    person_id,
    zero,
)

# `seq` is the primary key and `id` is unique: SQLite numbers only its primary key automatically.
reply = Table(
    "reply",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    person_id(),
    empty("turn_id"),
    # The number of the message that it answers. A row of an earlier release holds the message's id until it is
    # numbered.
    Column("answers_seq", BigInteger),
    empty("answers_message_id"),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("settled_at", Float),
    empty("token"),
    Column("leased_until", Float),
    Column("doubtful_since", Float),
    # For how many seconds of the doubt a consumer of the channel was connected.
    Column("doubt_attended", Float, nullable=False, server_default=text("0")),
    Column("not_before", Float),
    zero("attempts"),
    # How often it was requeued although the network may have taken it, or had taken it.
    zero("repeats"),
    zero("parts"),
    empty("split_version"),
    empty("error_code"),
    # Its subject, as the id of a schedule: a newer reply about it replaces one that is held. Empty: none.
    empty("subject"),
    Index("ix_reply_person_id_seq", "person_id", "seq"),
    Index("ix_reply_turn_id", "turn_id"),
    sqlite_autoincrement=True,
    info={"row_key": ("id",)},
)

# Hot queries over all replies ever made: a person's unsettled replies, those that a channel may lease, and those whose
# lease has expired.
REPLY_UNSETTLED = text(any_of("reply.state", UNSETTLED))

EARLIER_UNSETTLED = text(any_of("earlier.state", UNSETTLED))

LATER_UNSETTLED = text(any_of("later.state", UNSETTLED))

partial_index("ix_reply_unsettled", reply.c.person_id, reply.c.seq, where=any_of("state", UNSETTLED))

REPLY_PENDING = text(f"reply.state = '{ReplyState.PENDING}'")

partial_index("ix_reply_pending", reply.c.channel, reply.c.seq, where=f"state = '{ReplyState.PENDING}'")

REPLY_ON_ITS_WAY = text(one_of("reply.state", ON_ITS_WAY))

partial_index("ix_reply_on_its_way", reply.c.state, reply.c.leased_until, where=one_of("state", ON_ITS_WAY))

reply_part = Table(
    "reply_part",
    metadata,
    Column("reply_id", Text, ForeignKey("reply.id"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("sent_at", Float),
    # Its digest. A row of an earlier release holds the id until it is digested.
    empty("channel_message_id"),
    empty("receipt"),
    empty("error_code"),
    Index("ix_reply_part_channel_message_id", "channel_message_id"),
)

# The last invitation of each person at each address: a channel asks a person to write once a day.
invitation = Table(
    "invitation",
    metadata,
    # A program of an earlier release deletes people without knowing this table.
    Column("person_id", Text, ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("asked_at", Float, nullable=False),
    # The process of the channel that sends it.
    Column("claimed_by", Text, nullable=False),
)
