"""A process that owns a person's kernel, as played by the journal's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kernel_service.ports.messages import Message, Reply, Usage
from kernel_service.ports.payloads import Text
from kernel_service.ports.turns import HistoryItem, Turn, TurnPlacement, TurnStatus
from kernel_service.storage.people import time_zones
from kernel_service.storage.turns.recent_items import readable_items
from tests.payloads import sent

if TYPE_CHECKING:
    from kernel_service.ports.turns import NextTurn
    from kernel_service.storage.store import Store

NOW = 1_800_000_000.0
HELLO = HistoryItem("input", {"role": "user", "content": "hello"})
ASKS = HistoryItem("output", {"type": "function_call", "call_id": "c1"}, origin="openai:test")
FOUND = HistoryItem("result", {"type": "function_call_output", "call_id": "c1", "output": "[]"})


class Owner:
    """A process that owns a person's kernel."""

    def __init__(self, store: Store, person_id: str, epoch: int) -> None:
        self.store, self.person_id, self.epoch = store, person_id, epoch

    async def ask(
        self, now: float = NOW, debounce: float = 0, *, placement: TurnPlacement = TurnPlacement.QUARANTINED
    ) -> NextTurn:
        return await self.store.turns.next_turn(
            self.person_id, self.epoch, now=now, debounce=debounce, placement=placement
        )

    async def open(self, now: float = NOW) -> Turn:
        turn = await self.ask(now)
        assert isinstance(turn, Turn)
        return turn

    async def append(self, turn: Turn, *items: HistoryItem, usage: Usage | None = None, **more: Any) -> None:
        await self.store.turns.append(turn, self.epoch, items, usage=usage or Usage(), now=NOW, **more)

    async def end(
        self, turn: Turn, *items: HistoryItem, status: TurnStatus = TurnStatus.COMPLETED, now: float = NOW
    ) -> None:
        await self.store.turns.end(turn, self.epoch, items, [Reply("done")], status=status, usage=Usage(), now=now)


async def say(store: Store, message_id: str, user_id: str = "test:ann", **more: Any) -> str:
    now, sent_at = more.pop("now", NOW), more.pop("sent_at", None)
    message = replace(Message(user_id, message_id, sent(Text(message_id), sent_at)), **more)
    return (await store.inbox.accept(message, now=now, max_pending=100)).person_id


async def move(store: Store, person_id: str, zone: str) -> None:
    """The person is in this time zone from now on."""
    await store.engine.write(lambda tx: time_zones.keep(tx, person_id, zone))


async def own(store: Store, person_id: str, owner: str = "one") -> Owner:
    return Owner(store, person_id, (await store.kernels.activate(person_id, owner=owner)).epoch)


async def history(store: Store, person_id: str) -> list[HistoryItem]:
    """The items that a kernel is activated from."""
    await store.kernels.activate(person_id, owner="reader")
    return (await store.engine.write(lambda tx: readable_items(tx, person_id, ""))).items
