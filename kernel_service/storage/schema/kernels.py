"""A row for each person's kernel: its lease, and what its model is shown."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    Table,
    text,
)

from kernel_service.storage.schema.columns import (
    Sealed,
    empty,
    metadata,
    person_id,
)

kernel = Table(
    "kernel",
    metadata,
    person_id(primary_key=True),
    empty("session_id"),
    empty("configuration"),
    empty("owner"),
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
