"""One row per person's kernel: its lease, and the context that its model sees. Its ended turns in packed form."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    Table,
    text,
)

from kernel_service.storage.schema.columns import (
    Sealed,
    Text,
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
    # The person's time zone as a channel reports it, and as they state it themselves, which has precedence; null:
    # unknown.
    Column("time_zone", Sealed),
    Column("said_time_zone", Sealed),
    # The number of the first item that the model sees; earlier items are kept.
    Column("context_start", BigInteger, nullable=False, server_default=text("0")),
    # When the person last said "stop". Anything sent before that counts as withdrawn, even if it arrives later.
    Column("stopped_at", Float),
    # The context limit in tokens; 0: the default limit.
    Column("context_tokens", Integer, nullable=False, server_default=text("0")),
)

# A copy of the items from `context_start` to `last_item` as this model is shown them: see turns/packed_turns.py.
packed_history = Table(
    "packed_history",
    metadata,
    Column("person_id", Text, ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("model", Text, nullable=False),
    # The version of the data.
    Column("form", Integer, nullable=False),
    Column("context_start", BigInteger, nullable=False),
    Column("last_item", BigInteger, nullable=False),
    Column("data", Sealed, nullable=False),
)
