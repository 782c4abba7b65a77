"""The model gets the text that a person quotes on their phone, and never another person's text."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World


async def until_sent(world: World, phone: Phone) -> None:
    """Wait until the kernel service knows the id of the newest reply."""
    async with asyncio.timeout(30):
        while (await world.replies_to(phone))[0].state != admin_pb2.REPLY_STATE_SENT:
            await asyncio.sleep(0)


def heard(world: World) -> str:
    return json.dumps(world.emulators.openai.requests[-1].body["input"][-1], ensure_ascii=False)


async def test_a_quotation_reaches_the_model(world: World) -> None:
    alice = world.phone("Alice")
    answer = await world.ask(alice, "Ferns like shade")
    await until_sent(world, alice)
    await alice.send("Who says so?", quoting=alice.messages[0])
    await alice.wait_for_message(timeout=20)
    when = r"on \w+day, \d{4}-\d\d-\d\d at \d\d:\d\d UTC"
    assert re.search(rf"\[This answers what the person said {when}: “Ferns like shade”\]\\nWho says so\?", heard(world))
    await alice.send("And this?", quoting=answer)
    await alice.wait_for_message(timeout=20)
    words = re.escape(json.dumps(answer.text, ensure_ascii=False)[1:-1])
    assert re.search(rf"\[This answers what you said {when}: “{words}”\]\\nAnd this\?", heard(world))


async def test_quoting_another_persons_message_id_reveals_nothing(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    answer = await world.ask(alice, "My password is swordfish")
    await until_sent(world, alice)
    for stolen in (alice.messages[0], answer):
        await bob.send("What was that?", quoting=stolen)
        await bob.wait_for_message(timeout=20)
        assert "[This answers an earlier message of the chat.]\\nWhat was that?" in heard(world)
        assert "swordfish" not in json.dumps(world.emulators.openai.requests[-1].body)
