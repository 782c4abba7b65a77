"""Schedules: the requests of people that are due once, or again and again."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Table,
)

from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Text,
    empty,
    metadata,
    no,
    partial_index,
    person_id,
    zero,
)

schedule = Table(
    "schedule",
    metadata,
    # The buttons carry it, and it cannot be guessed.
    Column("id", Text, primary_key=True),
    person_id(),
    # Of the caller's id for the request, so that a repeat is detected.
    Column("request_digest", Digest, nullable=False),
    Column("kind", Text, nullable=False),
    Column("request", Sealed, nullable=False),
    # Either cron fields in the time zone, or the time of the only run.
    empty("cron"),
    Column("at", Float),
    # It reveals where the person lives.
    Column("time_zone", Sealed, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    # The turn that made it had seen content from outside.
    no("tainted"),
    Column("created_at", Float, nullable=False),
    # Null: it is paused.
    Column("next_due_at", Float),
    Column("paused_at", Float),
    # The last run: when it was put into the inbox, and the number of its message.
    Column("last_run_at", Float),
    Column("last_seq", BigInteger),
    # How many consecutive runs had no message of the person since the previous run.
    zero("silent_runs"),
    Index("ix_schedule_person_id_request_digest", "person_id", "request_digest", unique=True),
)

partial_index("ix_schedule_due", schedule.c.next_due_at, where="next_due_at IS NOT NULL")
