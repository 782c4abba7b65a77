"""Which tables an export consists of, and why others are left out. A test compares both with the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.storage.exporting import connections, conversation, files, identities, spent
from kernel_service.storage.schema import schema

if TYPE_CHECKING:
    from sqlalchemy import Table

    from kernel_service.storage.exporting.source import Source

SOURCES: Final[tuple[Source, ...]] = (
    identities.ALIASES,
    conversation.MESSAGES,
    conversation.TURNS,
    conversation.ITEMS,
    conversation.REPLIES,
    conversation.DEAD_LETTERS,
    identities.FACTS,
    connections.SCHEDULES,
    connections.CONNECTIONS,
    connections.TRIGGERS,
    connections.TRIGGER_EVENTS,
    connections.PARKED_REQUESTS,
    connections.APPROVALS,
    connections.PERMISSIONS,
    identities.INVITATIONS,
    spent.USAGE,
    spent.TOOL_USAGE,
    files.FILES,
)
"""In the order of an export, after the person, who is read from `person` and `kernel`."""
FIRST: Final = (schema.person, schema.kernel)

LEFT_OUT: Final[dict[Table, str]] = {
    schema.packed_history: "a copy of rows of `item`",
    schema.tool_call: "calls in progress, whose arguments are in `item`",
    schema.token_reservation: "estimates of requests in progress, which become `usage`",
    schema.kept_apart: "it names another person; only an operator may decide on it",
    schema.identity_link: "digests of ids that changed; the ids that are a person's are in `alias`",
    schema.forgotten_message: "digests of messages of people who were deleted",
    schema.revocation: "accounts and sessions that the vendor must still remove",
    schema.chat: "how a browser opens the chat of an address, the same for everyone",
    schema.stray_session: "digests of sessions of unknown browsers",
    schema.stray_batch: "digests of sessions of unknown browsers",
    schema.usage_of_all: "sums over all people",
    schema.secret: "secrets of the service",
    schema.backfill: "progress of the service's own work",
    schema.commit_mark: "the service's own writers",
    schema.schema_version: "the migrations of the database",
    schema.node: "the nodes of the service",
    schema.puller: "the channels' streams",
}
