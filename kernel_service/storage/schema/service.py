"""Records of the service about itself: its secrets, its writers, its migrations."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    Table,
)

from kernel_service.storage.schema.columns import (
    Text,
    Wrapped,
    metadata,
)

secret = Table(
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key_id", Text, nullable=False),
    Column("wrapped", Wrapped, nullable=False),
)

# Data of an earlier release that is rewritten while the service runs, and the last row that is done.
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

# Each migration adds a row: its number, and the number of the oldest program that can use the resulting schema.
schema_version = Table(
    "schema_version",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("oldest_reader", Integer, nullable=False),
)
