"""What people are asked for, and what they need not be asked for again."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Table,
)

from kernel_service.storage.schema.columns import (
    Digest,
    Sealed,
    Text,
    metadata,
    person_id,
)

# Calls that the person is asked for, and what became of each.
approval = Table(
    "approval",
    metadata,
    # The first one's stands in the buttons: nobody guesses it.
    Column("id", Text, primary_key=True),
    person_id(index=True),
    Column("turn_id", Text, nullable=False),
    # Those that one question asks for have this in common: the id of the first.
    Column("question_id", Text, nullable=False, server_default="", index=True),
    # The call that asked.
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    # And what else was shown: the account, its place, how many there are, which buttons.
    Column("arguments", Sealed, nullable=False),
    # Of the tool and the arguments.
    Column("digest", Digest, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("expires_at", Float, nullable=False),
    # The turn of the button that counted, and whether that was the one to approve.
    Column("decided_in", Text),
    Column("approved", Boolean),
    # Taken back ("stop"), or asked anew.
    Column("withdrawn_at", Float),
)

# What the person need not be asked for again.
standing_permission = Table(
    "standing_permission",
    metadata,
    person_id(primary_key=True),
    Column("tool", Text, primary_key=True),
    # The id of the connection; empty: the tool needs none.
    Column("account", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
)
