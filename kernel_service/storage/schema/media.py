"""Files and their chunks."""

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
    Text,
    empty,
    metadata,
    person_id,
    zero,
)

# Files that people sent: requested from their channel, stored, or failed. A row lives as long as its message is open.
# Files that tools made in answer to the message have no opening turn; they live until their reply is settled, too.
media = Table(
    "media",
    metadata,
    Column("id", Text, primary_key=True),
    # The person whose key seals the file and its chunks. The message tells whose turn reads it.
    person_id(index=True),
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
    empty("token"),
    # No other process fetches it before this time; for a file to retry: the time of the retry.
    Column("leased_until", Float),
    zero("attempts"),
    # The upload whose chunks are valid; an earlier upload cannot write any longer.
    empty("upload"),
    Column("size", BigInteger, nullable=False, server_default=text("0")),
    zero("chunks"),
    empty("problem"),
    Column("transcript", Sealed),
    empty("reply_id"),
)

# Chunks are written and swept in separate transactions. There is no foreign key, so neither waits for the other.
media_chunk = Table(
    "media_chunk",
    metadata,
    Column("media_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", Sealed, nullable=False),
    info={"part_of": media.c.id},
)
