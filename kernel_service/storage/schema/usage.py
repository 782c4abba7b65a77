"""Usage by day, and the possible cost of requests in progress."""

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
    # Replies that turns sent, and how many of those had a fixed text instead of a model's.
    *counts("replies", "fixed_replies"),
    Index("ix_usage_day", "day"),
)

# Usage of all people together. Each day is split into shards, so that concurrent writes do not wait for each other.
usage_of_all = Table(
    "usage_of_all",
    metadata,
    # As in `usage`.
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("share", Integer, primary_key=True, autoincrement=False),
    *usage_counts(),
)

# Model requests in progress, while there is a budget. The write that records the cost settles them.
token_reservation = Table(
    "token_reservation",
    metadata,
    Column("id", Text, primary_key=True),
    person_id(index=True),
    # As in `usage`.
    Column("day", Integer, nullable=False, index=True),
    # The amount that is charged if the cost is never reported.
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    # The possible cost beyond that, and until when the request may be in progress.
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
