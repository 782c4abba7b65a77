"""The kernel service is down while people write: a webhook waits a few seconds for it, and is then refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

WHILE_IT_RESTARTS = 3.0


def refusals(world: World) -> list[float]:
    """The times of refused webhooks, from now on."""
    refused: list[float] = []

    def note(_: int) -> float:
        refused.append(asyncio.get_running_loop().time())
        return 0.05

    world.emulators.whatsapp.webhooks.backoff = note
    return refused


async def test_a_restart_of_a_few_seconds_is_bridged(world: World) -> None:
    phones = [world.phone(f"n{number}") for number in range(5)]
    refused = refusals(world)
    await world.stop_kernel()
    writing = [asyncio.create_task(phone.send("hello")) for phone in phones]
    # Real time is part of the test: shorter than the wait of a webhook, longer than any single attempt.
    await asyncio.sleep(WHILE_IT_RESTARTS)
    await world.start_kernel()
    await asyncio.gather(*writing)
    await asyncio.gather(*(answered_once(phone) for phone in phones))
    assert refused == []


async def test_a_longer_absence_is_a_503_in_time_and_the_message_comes_again(world: World) -> None:
    await world.stop_gateway()
    world.accept_seconds = 0.5
    await world.start_gateway()
    alice = world.phone("Alice")
    refused = refusals(world)
    await world.stop_kernel()
    began = asyncio.get_running_loop().time()
    writing = asyncio.create_task(alice.send("hello"))
    async with asyncio.timeout(20):
        while len(refused) < 2:
            await asyncio.sleep(0.01)
    assert 0.5 <= refused[0] - began < 3
    await world.start_kernel()
    await writing
    await answered_once(alice)


async def answered_once(phone: Phone) -> None:
    await phone.wait_for_message(timeout=20)
    assert len(phone.received) == 1
