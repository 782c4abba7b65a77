"""What was spent, by day, and what requests under way may cost."""

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

from kernel_service.storage.schema.columns import (
    Text,
    counts,
    metadata,
    person_id,
    usage_counts,
    zero,
)

usage = Table(
    "usage",
    metadata,
    person_id(primary_key=True),
    # Days since 1970-01-01, UTC.
    Column("day", Integer, primary_key=True, autoincrement=False),
    *usage_counts(),
    # What turns told the person, and how much of it no model said.
    *counts("replies", "fixed_replies"),
    Index("ix_usage_day", "day"),
)

# What all people together have spent. Each day is in shares, so that people are counted at once without waiting.
usage_of_all = Table(
    "usage_of_all",
    metadata,
    # As in `usage`.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("share", Integer, primary_key=True, autoincrement=False),
    *usage_counts(),
)

# Requests to the model that are under way, while there is a budget; settled by the write that says what they cost.
token_reservation = Table(
    "token_reservation",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(index=True),
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
    person_id(primary_key=True),
    # As in `usage`.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("tool", Text, primary_key=True),
    zero("calls"),
    zero("failures"),
    Column("seconds", Float, nullable=False, server_default=text("0")),
    Index("ix_tool_usage_day", "day"),
)
