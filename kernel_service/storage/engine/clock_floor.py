"""The newest stored time. The clock of a later process does not start before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_LAST = (
    select(message.c.accepted_at).order_by(message.c.seq.desc()).limit(1),
    select(reply.c.created_at).order_by(reply.c.seq.desc()).limit(1),
)


def newest_time(tx: Tx) -> float:
    """0 for an empty store."""
    return max(tx.execute(last).scalar() or 0.0 for last in _LAST)
