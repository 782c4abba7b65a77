"""Rows of triggers, and the values in them that are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel_service.ports.triggers import NewTrigger, Trigger, TriggerStatus
from kernel_service.storage.keys import damage
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx


def sealed(tx: Tx, person_id: str, trigger_id: str, new: NewTrigger) -> bytes:
    private = [new.slug, new.config, new.request, new.name, new.account, new.tainted]
    return tx.cipher_of(person_id).seal_json(private, place(trigger.c.private, trigger_id))


def opened(tx: Tx, row: Row[Any]) -> Trigger | None:
    """None: a sealed value is damaged. The trigger can still be ended. Raises `SealingKeyUnknown`."""
    private = damage.value_of(tx, row.person_id, row.private, place(trigger.c.private, row.id))
    if private is None:
        return None
    slug, config, request, name, account, tainted = private
    asked = NewTrigger(slug, config, request, name, account, row.channel, row.address, tainted)
    return Trigger(row.id, asked, row.connection_id, TriggerStatus(row.status), row.created_at, row.vendor_id or "")


def event_of(tx: Tx, row: Row[Any]) -> Any:
    """The id and the data of an event; None: damaged. Raises `SealingKeyUnknown`."""
    return damage.value_of(tx, row.person_id, row.words, place(trigger_event.c.words, row.digest))
