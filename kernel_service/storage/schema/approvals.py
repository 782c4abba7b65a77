"""Requested approvals, and the standing permissions that make further requests unnecessary."""

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

# Tool calls that need the person's approval, and the outcome of each.
approval = Table(
    "approval",
    metadata,
    # The buttons carry the id of the prompt's first call, which cannot be guessed.
    Column("id", Text, primary_key=True),
    person_id(index=True),
    Column("turn_id", Text, nullable=False),
    # Shared by all calls that one prompt covers: the id of the first of them.
    Column("question_id", Text, nullable=False, server_default="", index=True),
    # The tool call that requested the approval.
    Column("call_id", Text, nullable=False),
    Column("tool", Text, nullable=False),
    # Also what else the prompt showed: the account, its position, the number of calls, the buttons.
    Column("arguments", Sealed, nullable=False),
    # Digest of the tool and its arguments.
    Column("digest", Digest, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
    Column("expires_at", Float, nullable=False),
    # The turn of the button that decided, and whether that was the button to approve.
    Column("decided_in", Text),
    Column("approved", Boolean),
    # Withdrawn by the person ("stop") or replaced by a new prompt.
    Column("withdrawn_at", Float),
)

# Permissions that the person gave once, so that they are not asked again.
standing_permission = Table(
    "standing_permission",
    metadata,
    person_id(primary_key=True),
    Column("tool", Text, primary_key=True),
    # The id of the connection; empty if the tool needs none.
    Column("account", Text, primary_key=True),
    Column("created_at", Float, nullable=False),
)
