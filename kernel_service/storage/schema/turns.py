"""Turns, their tool calls in progress, the history, and the dead letters."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    Table,
    text,
)

from kernel_service.ports.states.turn import OPEN
from kernel_service.storage.schema.columns import (
    Sealed,
    Text,
    empty,
    metadata,
    no,
    one_of,
    partial_index,
    person_id,
    usage_counts,
    zero,
)

turn = Table(
    "turn",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(),
    Column("status", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("not_before", Float),
    # Since the last progress: attempts that failed, processes that crashed during one, and how many of those ran no
    # other turn.
    zero("attempts"),
    zero("crash_count"),
    zero("crashes_alone"),
    # The process that has an unfinished attempt, and whether that process runs no other turn.
    empty("attempt_owner"),
    no("attempt_alone"),
    zero("holds"),
    no("begun"),
    # How often messages joined it. After its first side effect no message can join.
    zero("joins"),
    no("closed"),
    # The person withdrew it.
    no("stopped"),
    # The person was informed that the service is busy.
    no("told_busy"),
    empty("problem"),
    *usage_counts(),
    Index("ix_turn_person_id_id", "person_id", "id"),
)

TURN_OPEN = text(one_of("turn.status", OPEN))

partial_index("ix_turn_open", turn.c.person_id, where=one_of("status", OPEN))

tool_call = Table(
    "tool_call",
    metadata,
    person_id(primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("turn_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    Column("started_at", Float, nullable=False),
)

item = Table(
    "item",
    metadata,
    person_id(primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("turn_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("data", Sealed, nullable=False),
    Column("created_at", Float, nullable=False),
    # Belongs to an attempt that was restarted: kept, but no longer part of the history.
    no("superseded"),
)

ITEM_SUPERSEDED = text("item.superseded")

partial_index("ix_item_superseded", item.c.turn_id, where="superseded")

# Messages that were given up. The message itself is kept for the same time.
dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(index=True),
    Column("message_seq", BigInteger, nullable=False, index=True),
    # Empty, except in a row of an earlier release that is not cleared yet.
    Column("message_id", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("dead_at", Float, nullable=False),
    Column("requeued_at", Float),
)

TURN_USAGE = (
    turn.c.input_tokens,
    turn.c.cached_input_tokens,
    turn.c.output_tokens,
    turn.c.reasoning_tokens,
    turn.c.model_calls,
    turn.c.tool_calls,
)
"""The usage of a turn, in the order of `messages.Usage`."""
