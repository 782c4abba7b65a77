"""Records of the service about itself: its secrets, its writers, its nodes, its migrations."""

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
    no,
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

# The kernel services that use this database. All times are the database's own.
node = Table(
    "node",
    metadata,
    Column("id", Text, primary_key=True),
    Column("address", Text, nullable=False),
    # The newest migration that the node contains.
    Column("schema", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    # Since when its beats have been regular.
    Column("since", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    no("draining"),
    # JSON: the channels with a stream that is attached to it.
    Column("channels", Text, nullable=False),
)

# The consumers of the outbox. A release of all leases of an instance ends its older streams, wherever they are.
puller = Table(
    "puller",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("instance", Text, primary_key=True),
    Column("generation", BigInteger, nullable=False),
    Column("changed_at", Float, nullable=False),
)
