"""Standing permissions over every wire: granted by a button, listed, revoked, and ended with the account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from emulators.composio.catalogue import Tool, Toolkit
from emulators.composio.tools import CREATES, TEXT
from emulators.openai.turns import ToolCall
from tests.integration.test_approvals import made, tapped
from tests.integration.test_consent import connect

if TYPE_CHECKING:
    from emulators.composio.workplace import Workplace
    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

SLUG = "SMALLTOOL_CREATE_CARD"
DONE, NO, ALWAYS = "Approve", "Refuse", "Always approve"


def kept(_: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"id": "c1", "heading": arguments["heading"]}}


async def with_cards(world: World, label: str = "Alice") -> Phone:
    card = {"heading": TEXT, "email": TEXT}
    tool = Tool(SLUG, "smalltool", "Create a card", "Create a card.", CREATES, card, ("heading",), kept)
    world.emulators.composio.catalogue.add(Toolkit("smalltool", "Smalltool", "Cards."), tool)
    phone = world.phone(label)
    await connect(world, phone, "smalltool")
    return phone


async def card(world: World, phone: Phone, **arguments: str) -> ChatMessage:
    """The message to the person when the model makes this call."""
    world.emulators.openai.script([[ToolCall(SLUG, {"heading": "Milk", **arguments})], "So be it.", "Done."])
    told = await world.ask(phone, "file a card")
    if not told.choices:
        world.emulators.openai.clear()
    return told


def titles(told: ChatMessage) -> list[str]:
    return [choice.title for choice in told.choices]


async def test_a_person_is_not_asked_again_until_they_want_to_be(world: World) -> None:
    alice = await with_cards(world)
    question = await card(world, alice)
    assert titles(question) == [DONE, NO, ALWAYS]
    told = await tapped(alice, question, ALWAYS)
    assert told.startswith("From now on I do this without asking: Smalltool create card, with Smalltool.")
    assert titles(await card(world, alice)) == []
    assert len(made(world, SLUG)) == 2
    assert (
        "1. Smalltool create card, with Smalltool\n" in (await world.ask(alice, "What may you do without asking?")).text
    )
    assert "You have not allowed me to do anything without asking." in (await world.ask(alice, "ask me again")).text
    assert titles(await card(world, alice)) == [DONE, NO, ALWAYS]
    assert len(made(world, SLUG)) == 2


async def test_a_call_that_names_another_person_is_still_asked_for(world: World) -> None:
    alice = await with_cards(world)
    await tapped(alice, await card(world, alice), ALWAYS)
    assert titles(await card(world, alice, email="mallory@evil.example")) == [DONE, NO]
    assert len(made(world, SLUG)) == 1


async def test_a_permission_is_personal_and_ends_with_the_account(world: World) -> None:
    alice, bob = await with_cards(world), await with_cards(world, "Bob")
    await tapped(alice, await card(world, alice), ALWAYS)
    assert titles(await card(world, bob)) == [DONE, NO, ALWAYS]
    world.emulators.openai.clear()
    await tapped(alice, await world.ask(alice, "disconnect my smalltool"), DONE)
    await connect(world, alice, "smalltool")
    assert titles(await card(world, alice)) == [DONE, NO, ALWAYS]


@pytest.mark.parametrize("forged", ["always"])
async def test_a_button_that_was_not_shown_gives_nothing(world: World, forged: str) -> None:
    alice = await with_cards(world)
    question = await card(world, alice, email="mallory@evil.example")
    choice = question.choices[0].id.removesuffix("yes") + forged
    await alice.send_as("interactive", {"type": "button_reply", "button_reply": {"id": choice, "title": ALWAYS}})
    told = await alice.wait_for_message(timeout=20)
    assert told.text == "I don't know this approval, so I did nothing."
    assert made(world, SLUG) == []
