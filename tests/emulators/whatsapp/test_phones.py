"""Phones: their identity, waiting for messages, and taps."""

import asyncio

import aiohttp
import pytest

from emulators.app import Emulators
from emulators.config import Config
from emulators.whatsapp.app import WhatsApp
from emulators.whatsapp.chat import ChatLink
from tests.emulators.whatsapp.fakes import Gateway, Graph

CHOICES = {
    "button": {
        "type": "button",
        "body": {"text": "Sure?"},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
    },
    "list": {
        "type": "list",
        "body": {"text": "Sure?"},
        "action": {
            "button": "Open",
            "sections": [{"rows": [{"id": "y", "title": "Yes", "description": "certainly"}]}],
        },
    },
}
REPLIES = {
    "button": {"type": "button_reply", "button_reply": {"id": "y", "title": "Yes"}},
    "list": {"type": "list_reply", "list_reply": {"id": "y", "title": "Yes", "description": "certainly"}},
}


@pytest.mark.parametrize("kind", ["button", "list"])
async def test_a_tap_answers_the_message_that_offered_it(
    graph: Graph, gateway: Gateway, whatsapp: WhatsApp, kind: str
) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    offer = {"type": "interactive", "interactive": CHOICES[kind]}
    await graph.post({"messaging_product": "whatsapp", "recipient": alice.user_id} | offer)
    message = await alice.wait_for_message()
    await alice.tap(message, "Yes")
    await alice.tap(message, "y")
    by_title, by_id = [found for found in gateway.messages() if found["type"] == "interactive"]
    assert by_title["interactive"] == by_id["interactive"] == REPLIES[kind]
    assert by_title["context"]["id"] == message.id
    with pytest.raises(ValueError, match="offers no 'No'"):
        await alice.tap(message, "No")


async def test_a_link_button_is_shown(graph: Graph, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    parameters = {"display_text": "Connect", "url": "https://example.org/x"}
    action = {"name": "cta_url", "parameters": parameters}
    link = {"type": "cta_url", "body": {"text": "Tap"}, "action": action}
    await graph.post(
        {
            "messaging_product": "whatsapp",
            "recipient": alice.user_id,
            "type": "interactive",
            "interactive": link,
        }
    )
    shown = (await alice.wait_for_message()).link
    assert shown == ChatLink("Connect", "https://example.org/x")


async def test_each_message_is_waited_for_once(graph: Graph, whatsapp: WhatsApp) -> None:
    alice = whatsapp.add_phone("Alice")
    await alice.send("hi")
    waiting = asyncio.create_task(alice.wait_for_message())
    await graph.text("one", recipient=alice.user_id)
    await graph.text("two", recipient=alice.user_id)
    await graph.text("three", recipient=alice.user_id)
    assert (await waiting).text == "one"
    assert (await alice.wait_for_message(lambda message: "h" in message.text)).text == "three"
    with pytest.raises(TimeoutError, match="Alice got no such message"):
        await alice.wait_for_message(timeout=0.01)


async def test_people_with_the_same_name_stay_separate(whatsapp: WhatsApp) -> None:
    first, second = whatsapp.add_phone("Sam"), whatsapp.add_phone("Sam")
    named = whatsapp.add_phone("Third", name="Sam")
    assert len({first.user_id, second.user_id, named.user_id}) == 3
    assert len({first.wa_id, second.wa_id, named.wa_id}) == 3
    assert {first.name, second.name, named.name} == {"Sam"}
    async with Emulators.start(Config(emulators_listen="127.0.0.1:0")) as later:
        again = later.whatsapp.add_phone("Sam")
    assert (again.user_id, again.wa_id) == (first.user_id, first.wa_id)


async def test_an_identity_belongs_to_one_phone(whatsapp: WhatsApp) -> None:
    phone = whatsapp.add_phone("Alice")
    with pytest.raises(ValueError, match="another phone"):
        whatsapp.add_phone("Mallory", bsuid=phone.user_id)
    with pytest.raises(ValueError, match="another phone"):
        whatsapp.add_phone("Mallory", wa_id=phone.wa_id)
    hidden = [whatsapp.add_phone("Hidden", wa_id="") for _ in range(2)]
    assert len({phone.user_id for phone in hidden}) == 2


async def test_a_person_may_write_to_several_numbers(webhook_url: str, gateway: Gateway) -> None:
    config = Config(
        emulators_listen="127.0.0.1:0", emulators_webhook_url=webhook_url, whatsapp_phone_number_id="11, 22"
    )
    async with Emulators.start(config) as emulators, aiohttp.ClientSession() as session:
        alice, graph = emulators.whatsapp.add_phone("Alice"), Graph(session, emulators.url)
        await alice.send("hi")
        await alice.send("hi", number="22")
        hello = {"messaging_product": "whatsapp", "recipient": alice.user_id, "text": {"body": "from 22"}}
        status, _ = await graph.post(hello, path="/v26.0/22/messages")
    numbers = [value["metadata"]["phone_number_id"] for post in gateway.posts for value in post.values]
    assert (status, alice.received[0].number, numbers[:2]) == (200, "22", ["11", "22"])
