"""One row per person's kernel: its lease, and the context that its model sees."""

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
    # The person's time zone as a channel reports it, and as they say it themselves, which wins; null: not known.
    Column("time_zone", Sealed),
    Column("said_time_zone", Sealed),
    # The number of the first item that the model sees; earlier items are kept.
    Column("context_start", BigInteger, nullable=False, server_default=text("0")),
    # When the person last said "stop". Anything sent before that counts as withdrawn, even if it arrives later.
    Column("stopped_at", Float),
    # The context limit in tokens; 0: the default limit.
    Column("context_tokens", Integer, nullable=False, server_default=text("0")),
)
