"""Three processes on one PostgreSQL write about the same people and replies: no unit fails, and none is lost."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest

from kernel_service.ports.outbox import Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import CHANNEL, NOW, Chat, lapse, pull
from tests.contract.store.owner import own

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

PEOPLE: Final = 12
ROUNDS: Final = 3


@asynccontextmanager
async def stores(url: str, many: int) -> AsyncIterator[list[Store]]:
    opened = [await open_store(url, keys("test"), pool=6) for _ in range(many)]
    yield opened
    for store in opened:
        await store.close()


def acks(leases: Sequence[Lease]) -> list[PartAck]:
    return [PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, lease.reply.id) for lease in leases]


def receipts(leases: Sequence[Lease]) -> list[PartReceipt]:
    return [PartReceipt(lease.reply.id, 1, 1, lease.reply.id, PartState.DELIVERED, "") for lease in leases]


async def test_acknowledgements_and_receipts_of_the_same_replies(postgres_url: str) -> None:
    """One unit for each reply, in opposite orders: whatever a unit does, its group locks in the order of arrival."""
    async with stores(postgres_url, 2) as (one, other):
        chats = [await Chat(one, f"{CHANNEL}:user{number}").write() for number in range(PEOPLE)]
        for _ in range(ROUNDS):
            told = [await chat.tell("hello") for chat in chats]
            leases = await pull(one)
            await asyncio.gather(
                *(one.outbox.settle(CHANNEL, [ack], now=NOW) for ack in acks(leases)),
                *(other.outbox.receive(CHANNEL, [receipt], now=NOW) for receipt in receipts(leases[::-1])),
            )
            await all_delivered(dict(zip(told, chats, strict=True)))


async def all_delivered(told: dict[str, Chat]) -> None:
    for reply_id, chat in told.items():
        view = await chat.view(reply_id)
        assert (view.state, [part.receipt for part in view.parts]) == ("sent", ["delivered"])


async def converse(chat: Chat, owner: Store, everywhere: Sequence[Store]) -> None:
    """Messages come in at any process; the owner answers."""
    kernel = await own(owner, chat.person_id)
    for _ in range(ROUNDS):
        chat.store = random.choice(everywhere)
        await chat.write()
        await kernel.end(await kernel.open())


async def deliver(everywhere: Sequence[Store], many: int) -> list[Lease]:
    """Replies are leased, acknowledged, received and swept at any process, in any order, until `many` are delivered."""
    delivered: list[Lease] = []
    while len(delivered) < many:
        leases = await pull(random.choice(everywhere), limit=5)
        shuffled = random.sample(leases, len(leases))
        one, two, three, four = (random.choice(everywhere) for _ in range(4))
        await asyncio.gather(
            one.outbox.settle(CHANNEL, acks(leases), now=NOW),
            two.outbox.receive(CHANNEL, receipts(leases[::-1]), now=NOW),
            three.outbox.receive(CHANNEL, receipts(shuffled), now=NOW),
            four.outbox.extend_leases(
                CHANNEL, [(lease.reply.id, lease.token) for lease in shuffled], until=NOW + 60, now=NOW
            ),
            lapse(random.choice(everywhere), now=NOW),
        )
        delivered += leases
    return delivered


@pytest.mark.slow
async def test_three_processes_do_everything_at_once(postgres_url: str) -> None:
    async with stores(postgres_url, 3) as three:
        chats = [await Chat(three[0], f"{CHANNEL}:user{number}").write() for number in range(PEOPLE)]
        for chat in chats:
            kernel = await own(three[0], chat.person_id)
            await kernel.end(await kernel.open())
        many = PEOPLE * (ROUNDS + 1)
        delivering = asyncio.ensure_future(deliver(three, many))
        await asyncio.gather(*(converse(chat, three[n % 3], three) for n, chat in enumerate(chats)))
        delivered = await delivering
        assert len({lease.reply.id for lease in delivered}) == len(delivered) == many
        by_person = {chat.person_id: chat for chat in chats}
        await all_delivered({lease.reply.id: by_person[lease.person_id] for lease in delivered})
