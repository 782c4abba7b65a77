"""A phone number passes to somebody else, as networks do with numbers that were given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.world import World


async def test_a_stranger_gets_the_number_and_nothing_of_its_former_owner(world: World) -> None:
    whatsapp = world.emulators.whatsapp
    alice = whatsapp.add_phone("Alice", bsuid="US.1001", wa_id="15550101", name="Sam")
    await world.ask(alice, "my name is Alice and the code is 4711")
    alices = await world.person_of(alice)
    # WhatsApp says nothing of the change: the worst that can happen.
    await whatsapp.change_number(alice, "15550102", "US.1002", tell=False)
    stranger = whatsapp.add_phone("Stranger", bsuid="US.1003", wa_id="15550101", name="Sam")
    answer = await world.ask(stranger, "what did I say? who am I?")
    assert await world.person_of(stranger) != alices
    assert "Alice" not in answer.text
    assert "4711" not in answer.text
    assert "4711" not in str(world.emulators.openai.requests[-1].body)
    assert [message.text for message in alice.received if "4711" not in message.text] == []
