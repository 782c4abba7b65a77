"""All tables, for SQLite and PostgreSQL. Times are epoch seconds; binary values are sealed, or digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)

from kernel_service.storable import storable_text

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class Text(TypeDecorator[str]):
    """A column that takes whatever text a vendor or a channel sent: PostgreSQL refuses NUL, both lone surrogates."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        # What a vendor puts where its documents say text may be a number.
        return None if value is None else storable_text(value if isinstance(value, str) else str(value))


class Sealed(LargeBinary):
    """Sealed with the data key of the row's person, for the value's place (ciphers.place)."""


class Wrapped(LargeBinary):
    """Sealed with the master key that a column beside it names."""


class Digest(LargeBinary):
    """Found again by what it is of, which nobody reads from it."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts only INTEGER PRIMARY KEY by itself.
Serial = BigInteger().with_variant(Integer, "sqlite")


def _person(*, primary_key: bool = False, index: bool | None = None) -> Column[str]:
    return Column("person_id", Text, ForeignKey("person.id"), nullable=False, primary_key=primary_key, index=index)


def _empty(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _zero(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _no(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=false())


def _some(name: str, *columns: Column[Any], where: str) -> None:
    """An index of the rows that `where` is true of. A statement finds it by that condition in the same words.

    As a parameter SQLite would not know the value while it plans, nor would a plan that PostgreSQL keeps.
    """
    Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _counts(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, nullable=False, server_default=text("0")) for name in names]


def _usage() -> list[Column[int]]:
    return _counts(
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "model_calls",
        "tool_calls",
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
    _no("bound"),
    # Who they turned out to be; never somebody who was merged, too.
    Column("merged_into", Text),
)
_some("ix_person_merged_into", person.c.merged_into, where="merged_into IS NOT NULL")
PERSON_UNBOUND = text("NOT person.bound")
_some("ix_person_unbound", person.c.id, where="NOT bound")

alias = Table(
    "alias",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("digest", Digest, primary_key=True),
    _person(index=True),
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

kernel = Table(
    "kernel",
    metadata,
    _person(primary_key=True),
    _empty("session_id"),
    _empty("configuration"),
    _empty("owner"),
    Column("epoch", BigInteger, nullable=False, server_default=text("0")),
    # The person's, sealed; null: no channel has said it.
    Column("time_zone", Sealed),
    # The number of the first item that the model is shown; those before it are kept.
    Column("context_start", BigInteger, nullable=False, server_default=text("0")),
    # When the person last said "stop": what was sent before counts as taken back, whenever it comes.
    Column("stopped_at", Float),
    # How much the model is shown, in tokens; 0: as much as anybody's.
    Column("context_tokens", Integer, nullable=False, server_default=text("0")),
)

message = Table(
    "message",
    metadata,
    Column("seq", Serial, primary_key=True),
    _person(),
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
    _empty("command"),
    # Never answered together with others.
    _no("alone"),
    # Until when its file is waited for; null: it has all that it will have.
    Column("waits_until", Float),
    UniqueConstraint("channel", "address", "user_digest", "message_id"),
    sqlite_autoincrement=True,
)
Index("ix_message_person_id_seq", message.c.person_id, message.c.seq)
# What is still to be answered is looked for all the time; this index stays as small as that.
MESSAGE_OPEN = text("message.status IN ('accepted', 'held')")
_some(
    "ix_message_open",
    message.c.person_id,
    message.c.sent_at,
    message.c.seq,
    where="status IN ('accepted', 'held')",
)

turn = Table(
    "turn",
    metadata,
    Column("id", Text, primary_key=True),
    _person(),
    Column("status", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("not_before", Float),
    # Since the last progress: attempts that failed, processes that crashed in one, and those of them in which no other
    # turn ran.
    _zero("attempts"),
    _zero("crash_count"),
    _zero("crashes_alone"),
    # The process that has begun an attempt and not ended it, and whether no other turn runs in it.
    _empty("attempt_owner"),
    _no("attempt_alone"),
    _zero("holds"),
    _no("begun"),
    # How often messages joined it; from the first side effect on it is closed to them.
    _zero("joins"),
    _no("closed"),
    # The person has taken it back.
    _no("stopped"),
    # The person has been told that we are busy.
    _no("told_busy"),
    _empty("problem"),
    *_usage(),
    Index("ix_turn_person_id_id", "person_id", "id"),
)
TURN_OPEN = text("turn.status IN ('running', 'held')")
_some("ix_turn_open", turn.c.person_id, where="status IN ('running', 'held')")

tool_call = Table(
    "tool_call",
    metadata,
    _person(primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("turn_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("started_at", Float, nullable=False),
)

item = Table(
    "item",
    metadata,
    _person(primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("turn_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    # Belongs to an attempt that was begun anew: kept, and no part of the history any more.
    _no("superseded"),
)
ITEM_SUPERSEDED = text("item.superseded")
_some("ix_item_superseded", item.c.turn_id, where="superseded")

# `seq` is the key and `id` the unique name: SQLite counts only its primary key by itself.
reply = Table(
    "reply",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    _person(),
    _empty("turn_id"),
    # The message that it answers, by its number. In a row of an earlier release, until it has that: its id.
    Column("answers_seq", BigInteger),
    _empty("answers_message_id"),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("body", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("settled_at", Float),
    _empty("token"),
    Column("leased_until", Float),
    Column("doubtful_since", Float),
    # For how many seconds of the doubt the channel has been attended.
    Column("doubt_attended", Float, nullable=False, server_default=text("0")),
    Column("not_before", Float),
    _zero("attempts"),
    # How often it was put back although the network may have, or had, taken it.
    _zero("repeats"),
    _zero("parts"),
    _empty("split_version"),
    _empty("error_code"),
    Index("ix_reply_person_id_seq", "person_id", "seq"),
    Index("ix_reply_turn_id", "turn_id"),
    sqlite_autoincrement=True,
    info={"row_key": ("id",)},
)

# What is looked for all the time, out of all replies ever made: what is still to be settled of a person's, what a
# channel may lease, and what the sweep for lapsed leases reads.
REPLY_UNSETTLED = text("reply.state IN ('pending', 'leased', 'in_doubt', 'held')")
EARLIER_UNSETTLED = text("earlier.state IN ('pending', 'leased', 'in_doubt', 'held')")
_some("ix_reply_unsettled", reply.c.person_id, reply.c.seq, where="state IN ('pending', 'leased', 'in_doubt', 'held')")
REPLY_PENDING = text("reply.state = 'pending'")
_some("ix_reply_pending", reply.c.channel, reply.c.seq, where="state = 'pending'")
REPLY_ON_ITS_WAY = text("reply.state IN ('leased', 'in_doubt')")
_some("ix_reply_on_its_way", reply.c.state, reply.c.leased_until, where="state IN ('leased', 'in_doubt')")

reply_part = Table(
    "reply_part",
    metadata,
    Column("reply_id", Text, ForeignKey("reply.id"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("sent_at", Float),
    # Its digest. In a row of an earlier release, until it is digested: the id.
    _empty("channel_message_id"),
    _empty("receipt"),
    _empty("error_code"),
    Index("ix_reply_part_channel_message_id", "channel_message_id"),
)

# Messages that were given up; the message itself is kept as long.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Text, primary_key=True),
    _person(index=True),
    Column("message_seq", BigInteger, nullable=False, index=True),
    # Empty, but in a row of an earlier release that is not cleared yet.
    Column("message_id", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("dead_at", Float, nullable=False),
    Column("requeued_at", Float),
)

# Files that people sent: wanted of their channel, stored, or failed. A row lives as long as its message is open.
# Files that tools made in answer to the message have no opening; they live until their reply is settled, too.
media = Table(
    "media",
    metadata,
    Column("id", Text, primary_key=True),
    # Whose key seals it and its chunks; whose turn reads it, the message tells.
    _person(index=True),
    Column("message_seq", BigInteger, nullable=False, index=True),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opening", Text, nullable=False),
    Column("mime_type", Text, nullable=False),
    # The channel's reference, the digest it gave, the file's name.
    Column("asked", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("deadline", Float, nullable=False),
    _empty("token"),
    # Nobody else fetches it before; of one that is to be tried again: when.
    Column("leased_until", Float),
    _zero("attempts"),
    # The upload whose chunks count; an earlier one writes no more.
    _empty("upload"),
    Column("size", BigInteger, nullable=False, server_default=text("0")),
    _zero("chunks"),
    _empty("problem"),
    Column("transcript", Sealed),
    _empty("reply_id"),
)

# Written in transactions of their own, and swept: no foreign key, so that neither waits for the other.
media_chunk = Table(
    "media_chunk",
    metadata,
    Column("media_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", Sealed, nullable=False),
    info={"part_of": media.c.id},
)

connection = Table(
    "connection",
    metadata,
    Column("id", Text, primary_key=True),
    _person(index=True),
    Column("toolkit", Text, nullable=False),
    _empty("toolkit_name"),
    # Null until somebody follows the link.
    Column("account_id", Text, unique=True),
    # Whose the account is at the vendor: of somebody who was merged into the person; empty: the person's own.
    _empty("made_for"),
    Column("status", Text, nullable=False),
    # Its link, and what the person calls it.
    Column("private", Sealed),
    Column("created_at", Float, nullable=False),
    Column("confirmed_at", Float),
    # Barred, and the vendor is still to remove the account.
    _no("remove_due"),
)
REMOVE_DUE = text("connection.remove_due")
_some("ix_connection_remove_due", connection.c.id, where="remove_due")
CONNECTION_ENDED = text("connection.status NOT IN ('active', 'unconfirmed')")
_some("ix_connection_ended", connection.c.created_at, where="status NOT IN ('active', 'unconfirmed')")

# How a connection comes about: what secrets it is found by, how far it is. A row goes with its connection.
connect_attempt = Table(
    "connect_attempt",
    metadata,
    Column("connection_id", Text, ForeignKey("connection.id"), primary_key=True),
    _person(index=True),
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
    _zero("wrong_codes"),
    Column("created_at", Float, nullable=False, index=True),
)
ATTEMPT_LIVE = text("connect_attempt.state IN ('open', 'claimed', 'started', 'returned', 'completing')")
_some(
    "ix_connect_attempt_live",
    connect_attempt.c.connection_id,
    where="state IN ('open', 'claimed', 'started', 'returned', 'completing')",
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
    _person(),
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

# Calls that the person is asked for, and what became of each.
approval = Table(
    "approval",
    metadata,
    # The first one's stands in the buttons: nobody guesses it.
    Column("id", Text, primary_key=True),
    _person(index=True),
    Column("turn_id", Text, nullable=False),
    # Those that one question asks for have this in common: the id of the first.
    Column("question_id", Text, nullable=False, server_default="", index=True),
    # The call that asked.
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    # And what else was shown: the account, its place, how many there are, which buttons.
    Column("arguments", Sealed, nullable=False),
    # Of the tool and the arguments.
    Column("digest", Digest, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("expires_at", Float, nullable=False),
    # The turn of the button that counted, and whether that was the one to approve.
    Column("decided_in", Text),
    Column("approved", Boolean),
    # Taken back ("stop"), or asked anew.
    Column("withdrawn_at", Float),
)

# What the person need not be asked for again.
standing_permission = Table(
    "standing_permission",
    metadata,
    _person(primary_key=True),
    Column("tool", Text, primary_key=True),
    # The id of the connection; empty: the tool needs none.
    Column("account", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
)

# How a browser opens the chat of an address, as its channel said last.
chat = Table(
    "chat",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("link", Text, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    _person(primary_key=True),
    # Days since 1970-01-01, UTC.
    Column("day", Integer, primary_key=True, autoincrement=False),
    *_usage(),
    # What turns told the person, and how much of it no model said.
    *_counts("replies", "fixed_replies"),
    Index("ix_usage_day", "day"),
)

# What all people together have spent. Each day is in shares, so that people are counted at once without waiting.
usage_of_all = Table(
    "usage_of_all",
    metadata,
    # As in `usage`.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("share", Integer, primary_key=True, autoincrement=False),
    *_usage(),
)

# Requests to the model that are under way, while there is a budget; settled by the write that says what they cost.
token_reservation = Table(
    "token_reservation",
    metadata,
    Column("id", Text, primary_key=True),
    _person(index=True),
    # As in `usage`.
    Column("day", Integer, nullable=False, index=True),
    # What it counts for if nobody ever learns what it cost.
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    # What it may cost beyond that, and until when it may be under way.
    Column("headroom", BigInteger, nullable=False),
    Column("until", Float, nullable=False, index=True),
)

tool_usage = Table(
    "tool_usage",
    metadata,
    _person(primary_key=True),
    # As in `usage`.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("tool", Text, primary_key=True),
    _zero("calls"),
    _zero("failures"),
    Column("seconds", Float, nullable=False, server_default=text("0")),
    Index("ix_tool_usage_day", "day"),
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped", Wrapped, nullable=False),
)

# What an earlier release has left to be rewritten while the service runs, and up to which row that is done.
backfill = Table(
    "backfill",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

# One row per writer of a process: the number of its last committed batch.
commit_mark = Table(
    "commit_mark",
    metadata,
    Column("id", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
)

# Each migration adds its row: its number, and that of the oldest program that can work on what it leaves.
schema_version = Table(
    "schema_version",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("oldest_reader", Integer, nullable=False),
)


def row_key(table: Table) -> tuple[Column[Any], ...]:
    """What names a row from its first statement on, for good; in the order of ciphers.place()."""
    return tuple(table.c[name] for name in table.info.get("row_key", ())) or tuple(table.primary_key.columns)


TURN_USAGE = (
    turn.c.input_tokens,
    turn.c.cached_input_tokens,
    turn.c.output_tokens,
    turn.c.reasoning_tokens,
    turn.c.model_calls,
    turn.c.tool_calls,
)
"""What a turn has spent, in the order of `messages.Usage`."""
