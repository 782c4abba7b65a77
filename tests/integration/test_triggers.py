"""Mails that people wait for: told once to the right person, while nothing that a mail orders is done."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import orjson
import pytest

from kernel_service import texts
from tests.integration.injections import MAIL, connect
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Any

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

WISH = "tell me when a mail from the bank arrives"
BANK = "service@bank.example"


@asynccontextmanager
async def hearing(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """A service that Composio's events reach."""
    secret = "whsec_of_the_tests"
    async with whole_world(folder, composio_webhook_secret=secret, **settings) as world:
        events = world.emulators.composio.events
        events.secret, events.url, events.backoff = secret, f"{world.connect_url}/connect/events", lambda _: 0.05
        yield world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with hearing(tmp_path) as world:
        yield world


async def who_waits(world: World, label: str = "Alice") -> Phone:
    phone = world.phone(label)
    await connect(world, phone, "gmail")
    told = await world.ask(phone, WISH)
    assert "I will tell you when it arrives" in told.text, told.text
    assert f"I watch your Gmail account for this: “{WISH}”." in told.text
    return phone


async def arrives(world: World, phone: Phone, body: str = "Please call us.", sender: str = BANK) -> int:
    """The number of events that the vendor tells of the mail."""
    person = await world.person_of(phone)
    deliveries = world.emulators.composio.arrives(person, sender, "Your account", body)
    assert [await each for each in deliveries] == [200] * len(deliveries)
    return len(deliveries)


async def test_a_mail_from_the_bank_is_told_once(world: World) -> None:
    alice, bob = await who_waits(world), world.phone("Bob")
    await world.ask(bob, "hello")
    world.emulators.composio.events.copies = 3
    assert await arrives(world, alice) == 1
    assert await arrives(world, alice, sender="ada@friends.example") == 0
    world.pass_time(6)
    told = await alice.wait_for_message(timeout=20)
    assert told.text == f"A mail from {BANK} has arrived: “Your account”."
    world.pass_time(1000)
    assert "hello" in (await world.ask(alice, "hello")).text, "nothing else came before it"
    assert len(bob.received) == 1


async def test_news_of_an_account_that_the_vendor_no_longer_has_lead_to_a_link(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice, "gmail")
    [account] = world.emulators.composio.accounts_of(await world.person_of(alice))
    world.emulators.composio.delete(account.id)
    assert (await world.ask(alice, WISH)).link is not None


async def test_an_order_in_the_mail_needs_a_button(world: World) -> None:
    alice = await who_waits(world)
    world.emulators.openai.obey()
    await arrives(world, alice, MAIL.order.replace("{secret}", "forward this"))
    world.pass_time(6)
    question = await alice.wait_for_message(lambda message: bool(message.choices), timeout=20)
    assert "eve@evil.example" in question.text
    assert [choice.title for choice in question.choices] == ["Approve", "Refuse"]
    place = world.emulators.composio.workplace_of(await world.person_of(alice))
    assert not place.sent
    world.pass_time(11 * 3600)
    await alice.tap(question, "Refuse")
    assert "didn't do it" in (await alice.wait_for_message(timeout=20)).text
    assert not place.sent


async def test_exemptions_of_the_operator_do_not_hold_for_the_orders_of_a_mail(tmp_path: Path) -> None:
    async with hearing(tmp_path, kernel_approve_tools="!GMAIL_SEND_EMAIL") as world:
        alice = await who_waits(world)
        world.emulators.openai.obey()
        await arrives(world, alice, MAIL.order)
        world.pass_time(6)
        await alice.wait_for_message(lambda message: bool(message.choices), timeout=20)
        assert not world.emulators.composio.workplace_of(await world.person_of(alice)).sent


async def test_a_question_shows_the_address_that_is_waited_for_as_a_search(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice, "gmail")
    world.emulators.composio.arrives(await world.person_of(alice), BANK, "Your account", "Hello.")
    await world.ask(alice, "read my mails")
    question = await world.ask(alice, WISH)
    assert question.choices, question.text
    assert "query: from:bank" in question.text
    assert texts.approvals.UNNAMED not in question.text
    assert question.text.endswith(texts.approvals.WHY["outside"])


async def test_an_event_that_the_model_finds_to_be_of_no_use(world: World) -> None:
    alice = await who_waits(world)
    world.emulators.openai.script(["[nothing]"])
    await arrives(world, alice)
    before = len(world.emulators.effects.all())
    world.pass_time(6)
    await world.emulators.effects.wait_for(lambda effect: effect.kind == "model_call", after=before)
    assert "hello" in (await world.ask(alice, "hello")).text, "nothing else came before it"


async def test_a_trigger_is_listed_with_the_schedules_and_ended_in_chat(world: World) -> None:
    alice = await who_waits(world)
    listed = await world.ask(alice, "show my reminders")
    assert WISH in listed.text
    assert "on news in your Gmail account" in listed.text
    await world.ask(alice, "stop telling me about mails")
    assert not world.emulators.composio.triggers
    assert "You have no reminders." in (await world.ask(alice, "show my reminders")).text


async def test_forged_and_misdirected_events_do_nothing(world: World) -> None:
    alice, bob = await who_waits(world), await who_waits(world, "Bob")
    vendor = world.emulators.composio
    [hers] = [each for each in vendor.triggers if each.account.user_id == await world.person_of(alice)]
    data = {"sender": BANK, "subject": "Forged", "message_text": "x"}
    stolen = vendor.events.happened(hers, data, user_id=await world.person_of(bob))
    assert await vendor.events.deliver(stolen) == 200
    true = vendor.events.happened(hers, data)
    raw = orjson.dumps(true)
    headers = vendor.events.headers(true["id"], raw)
    url = f"{world.connect_url}/connect/events"
    async with aiohttp.ClientSession() as session:
        for wrong in (
            {"webhook-signature": "v1,x"},
            {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 400)},
        ):
            async with session.post(url, data=raw, headers=headers | wrong) as answer:
                assert answer.status == 401
        async with session.post(url, data=raw + b" " * 2**20, headers=headers) as answer:
            assert answer.status == 413
    world.pass_time(1000)
    for phone in (alice, bob):
        assert "hello" in (await world.ask(phone, "hello")).text, "nothing else came before it"


async def test_triggers_end_with_the_connection(world: World) -> None:
    alice = await who_waits(world)
    question = await world.ask(alice, "disconnect my gmail")
    await alice.tap(question, "Approve")
    await alice.wait_for_message(timeout=20)
    deleted = await world.emulators.effects.wait_for(lambda effect: effect.kind == "trigger_deleted")
    assert deleted.person == await world.person_of(alice)
