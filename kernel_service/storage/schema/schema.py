"""The whole schema, for SQLite and PostgreSQL. Times are epoch seconds; binary values are sealed, or digests.

Code that works on all tables imports this module. Other code imports the file of its concern.
"""

from __future__ import annotations

from kernel_service.storage.schema.approvals import approval, standing_permission
from kernel_service.storage.schema.columns import metadata
from kernel_service.storage.schema.connections import (
    connect_attempt,
    connection,
    parked_request,
    revocation,
    stray_batch,
    stray_session,
)
from kernel_service.storage.schema.inbox import forgotten_message, message
from kernel_service.storage.schema.kernels import kernel, packed_history
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.storage.schema.memory import fact
from kernel_service.storage.schema.outbox import invitation, reply, reply_part
from kernel_service.storage.schema.people import alias, chat, identity_link, kept_apart, person
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.service import backfill, commit_mark, node, puller, schema_version, secret
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.schema.turns import dead_letter, item, tool_call, turn
from kernel_service.storage.schema.usage import token_reservation, tool_usage, usage, usage_of_all

__all__ = [
    "alias",
    "approval",
    "backfill",
    "chat",
    "commit_mark",
    "connect_attempt",
    "connection",
    "dead_letter",
    "fact",
    "forgotten_message",
    "identity_link",
    "invitation",
    "item",
    "kept_apart",
    "kernel",
    "media",
    "media_chunk",
    "message",
    "metadata",
    "node",
    "packed_history",
    "parked_request",
    "person",
    "puller",
    "reply",
    "reply_part",
    "revocation",
    "schedule",
    "schema_version",
    "secret",
    "standing_permission",
    "stray_batch",
    "stray_session",
    "token_reservation",
    "tool_call",
    "tool_usage",
    "trigger",
    "trigger_event",
    "turn",
    "usage",
    "usage_of_all",
]
