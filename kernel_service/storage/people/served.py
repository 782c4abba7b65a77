"""Whether the operator's list still has a person, who may have been on it when they asked for what is due now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from kernel_service.errors import Unreadable
from kernel_service.storage.people.people import alias_value
from kernel_service.storage.schema.people import alias

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.allow_list import AllowList
    from kernel_service.storage.engine.engine import Tx

_IDS = select(alias).where(
    alias.c.person_id == bindparam("person"),
    alias.c.channel == bindparam("of_channel"),
    alias.c.replaced_at.is_(None),
)


def is_served(tx: Tx, person_id: str, channel: str, allowed: AllowList) -> bool:
    """Whether a message of the person in this channel would be accepted, by the ids that they have there now.

    Their strong ids decide, since a channel names the sender by one if there is one.
    """
    if not allowed.patterns:
        return True
    rows = tx.execute(_IDS, {"person": person_id, "of_channel": channel}).all()
    deciding = [row for row in rows if row.strong] or rows
    return any(_is_allowed(tx, row, allowed) for row in deciding)


def _is_allowed(tx: Tx, row: Row[tuple[object, ...]], allowed: AllowList) -> bool:
    try:
        return allowed(alias_value(tx, row))
    except Unreadable:
        return False
