"""Unfollowed links: a person has one per toolkit, so a merge ends the second one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update

from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.storage.schema.connections import ATTEMPT_OPEN, connect_attempt, connection

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

_of_merged = connect_attempt.c.person_id == bindparam("merged")
_OPEN_OF = (
    select(connect_attempt.c.toolkit)
    .where(connect_attempt.c.person_id == bindparam("remaining"), ATTEMPT_OPEN)
    .correlate(None)
)
_SECOND: Final = select(connect_attempt.c.connection_id).where(
    _of_merged, ATTEMPT_OPEN, connect_attempt.c.toolkit.in_(_OPEN_OF)
)
_END: Final = (
    update(connect_attempt)
    .where(connect_attempt.c.connection_id == bindparam("of"))
    .values(state=ConnectAttemptState.REMOVED.value)
)
_BAR: Final = (
    update(connection)
    .where(connection.c.id == bindparam("of"))
    .values(status=ConnectionStatus.EXPIRED.value, private=None)
)


def end_second(tx: Tx, people: Merging) -> None:
    """End an unfollowed link of the merged person if the remaining person has one for the same toolkit."""
    for connection_id in tx.execute(_SECOND, {"merged": people.merged, "remaining": people.remaining}).scalars():
        for statement in (_END, _BAR):
            tx.execute(statement, {"of": connection_id})
