"""Steps that tests of triggers repeat: an account that is watched, and what happens in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.ports.triggers import EventOutcome, NewTrigger, Trigger, TriggerEvent, TriggerLimits
from tests.contract.store.people import NOW

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection
    from kernel_service.storage.store import Store

LIMITS: Final = TriggerLimits()
MAIL: Final = NewTrigger(
    "GMAIL_NEW", {"query": "bank"}, "Tell me of the bank", "New mail", "Gmail", "test", "desk", tainted=True
)


async def begun(store: Store, account: Connection, new: NewTrigger = MAIL) -> Trigger:
    return await store.triggers.begin(account, new, now=NOW, most=9)


async def watching(store: Store, account: Connection, vendor_id: str = "ti_1", new: NewTrigger = MAIL) -> Trigger:
    active = await store.triggers.activate((await begun(store, account, new)).id, vendor_id)
    assert active is not None
    return active


def event(account: Connection, number: int = 1, vendor_id: str = "ti_1", holder: str = "") -> TriggerEvent:
    return TriggerEvent(f"msg_{number}", vendor_id, account.account_id, holder or account.holder, {"number": number})


async def receive(store: Store, happened: TriggerEvent, now: float = NOW) -> EventOutcome:
    return await store.triggers.receive(happened, now=now, limits=LIMITS)
