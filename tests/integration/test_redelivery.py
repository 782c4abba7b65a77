"""WhatsApp delivers everything again, days apart, in other batches and another order: each message is answered once."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from emulators.whatsapp.payloads import encode, signature
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

DAY = 86_400.0
PEOPLE, MESSAGES = 5, 4


def keep_deliveries(world: World) -> list[dict[str, Any]]:
    """All values sent by webhook from now on: messages and statuses."""
    kept: list[dict[str, Any]] = []
    deliver = world.emulators.whatsapp.webhooks.deliver

    def keeping(*values: dict[str, Any], **more: Any) -> Any:
        kept.extend(values)
        return deliver(*values, **more)

    world.emulators.whatsapp.webhooks.deliver = keeping  # type: ignore[method-assign]
    return kept


async def deliver_again(world: World, values: list[dict[str, Any]], chance: random.Random) -> None:
    """Deliver them in batches of other sizes."""
    left, secret = list(values), world.emulators.config.whatsapp_app_secret
    async with aiohttp.ClientSession() as session:
        while left:
            size = chance.randint(1, 7)
            raw, left = encode(left[:size]), left[size:]
            headers = {"X-Hub-Signature-256": signature(secret, raw), "Content-Type": "application/json"}
            async with session.post(world.webhook_url, data=raw, headers=headers) as response:
                assert response.status == 200


async def chat(world: World, phones: list[Phone]) -> None:
    for number in range(MESSAGES):
        for phone in phones:
            await world.ask(phone, f"{phone.label} says {number}")


async def test_redelivered_messages_are_answered_once(tmp_path: Path) -> None:
    chance, late = random.Random(3), 0.0
    async with whole_world(tmp_path) as world:
        world.wall = lambda: time.time() + late
        kept = keep_deliveries(world)
        phones = [world.phone(f"p{number}") for number in range(PEOPLE)]
        await chat(world, phones)
        asked = len(world.emulators.effects.all("model_call"))
        for _ in range(3):
            late += 2 * DAY
            chance.shuffle(kept)
            await deliver_again(world, list(kept), chance)
            await world.kernel.sweeper.forget()
        for phone in phones:  # a second answer would come before this one
            assert "still here" in (await world.ask(phone, "still here")).text
        assert [len(phone.received) for phone in phones] == [MESSAGES + 1] * PEOPLE
        assert len(world.emulators.effects.all("model_call")) == asked + PEOPLE


async def test_everything_at_once_in_three_copies_is_answered_once(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world:
        world.emulators.whatsapp.webhooks.copies = 3
        phones = [world.phone(f"p{number}") for number in range(PEOPLE)]
        await chat(world, phones)
        assert [len(phone.received) for phone in phones] == [MESSAGES] * PEOPLE
