"""The triggers of an account that is no longer used: their events are ignored, and the vendor must remove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, null, update

from kernel_service.ports.triggers import TriggerStatus
from kernel_service.storage.schema.triggers import trigger

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_END = (
    update(trigger)
    .where(trigger.c.connection_id == bindparam("connection"), trigger.c.status != TriggerStatus.ENDED.value)
    .values(status=TriggerStatus.ENDED.value, due_at=null())
)


def end_of_connection(tx: Tx, connection_id: str) -> None:
    tx.execute(_END, {"connection": connection_id})
