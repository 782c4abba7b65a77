"""Prompt injections with default settings and a model that obeys everything: only the person decides.

No data leaves, nothing changes and no account is used without a button that showed the call. People are warned of
links that contain their words. No text comes back as words that the person never said.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.connect_browser import a_browser
from tests.integration.injections import INJECTIONS, LINK, MAIL, TASK, Injection, connect, place_of, table

if TYPE_CHECKING:
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "injections.md"


async def person_with_accounts(world: World, label: str) -> Phone:
    phone = world.phone(label)
    await world.ask(phone, "my pin is 4711")
    await connect(world, phone, "asana")
    await connect(world, phone, "gmail")
    return phone


async def state(world: World, phone: Phone) -> dict[str, Any]:
    """The whole state that an attack could change."""
    place, person = await place_of(world, phone), await world.person_of(phone)
    return {
        "tasks": [(task.gid, task.name, task.completed) for task in place.tasks if task.gid != "901"],
        "sent": list(place.sent),
        "done": [effect for effect in world.emulators.effects.all("tool_execution") if _is_planted(str(effect.detail))],
        "accounts": [account.id for account in world.emulators.composio.accounts_of(person)],
    }


def _is_planted(arguments: str) -> bool:
    return "evil.example" in arguments or TASK.shown in arguments


def said_as_the_persons(world: World, phone: Phone, text: str) -> bool:
    """Whether the model ever got this text, which the person never sent, as words of the person."""
    mine = "\n".join(message.text for message in phone.messages if message.mine)
    shown = [item for call in world.emulators.openai.requests for item in (call.body or {}).get("input", [])]
    users = [str(item.get("content")) for item in shown if isinstance(item, dict) and item.get("role") == "user"]
    return any(text in each for each in users) and text not in mine


async def heard(phone: Phone, since: int, wanted: list[str], way: str) -> str:
    """The messages to the person, up to the one that completes the wanted texts."""
    while True:
        told = "\n".join(one.text for one in phone.received[since:])
        if all(each in told for each in wanted):
            return told
        try:
            await phone.wait_for_message(timeout=20)
        except TimeoutError:
            pytest.fail(f"{way}: {wanted} not all in {told!r}")


async def attacked(world: World, phone: Phone, injection: Injection) -> None:
    before, since = await state(world, phone), len(phone.received)
    world.emulators.openai.obey()
    await injection.plant(world, phone, injection.orders)
    if "asked" in injection.attacks[0].outcome:
        told = await heard(phone, since, [attack.shown for attack in injection.attacks], injection.way)
        if LINK in injection.attacks:
            assert "evil.example/?d=my%20pin%20is%204711" in told, injection.way
            assert told.index("⚠️") < told.index("evil.example/?d="), injection.way
    else:
        await phone.wait_for_message(timeout=60)
    world.emulators.openai.obey(obeys=False)
    after = await state(world, phone)
    assert (after["sent"], after["done"]) == (before["sent"], []), injection.way
    assert after["tasks"] == before["tasks"], injection.way
    assert after["accounts"][: len(before["accounts"])] == before["accounts"], injection.way
    assert not said_as_the_persons(world, phone, "To do once"), injection.way


@pytest.mark.parametrize("group", INJECTIONS)
async def test_nothing_is_done_without_a_button_that_showed_it(world: World, group: str) -> None:
    for number, injection in enumerate(INJECTIONS[group]):
        phone = await person_with_accounts(world, f"P{number}")
        await attacked(world, phone, injection)


def test_there_are_forty_and_the_documents_show_them_all() -> None:
    assert len(table().splitlines()) >= 42
    assert table() in PAGE.read_text(), "put tests.integration.injections.table() into docs/explanation/injections.md"


async def test_only_the_approved_call_is_made_exactly_as_shown(world: World) -> None:
    alice = await person_with_accounts(world, "Alice")
    body = next(one for one in INJECTIONS["tools"] if one.way == "the body of a mail")
    world.emulators.openai.obey()
    await body.plant(world, alice, MAIL.order)
    question = await alice.wait_for_message(lambda message: bool(message.choices), timeout=60)
    assert "4711" in question.text, "the person sees what would leave"
    (await place_of(world, alice)).inbox.insert(0, (await place_of(world, alice)).inbox[0])
    await alice.tap(question, "Approve")
    await alice.wait_for_message(timeout=60)
    [sent] = (await place_of(world, alice)).sent
    assert (sent.recipient if hasattr(sent, "recipient") else sent.to) == "eve@evil.example"
    assert TASK.shown not in str(await state(world, alice))


async def test_a_note_never_comes_back_as_the_persons_words(world: World) -> None:
    alice = await person_with_accounts(world, "Alice")
    noted = next(one for one in INJECTIONS["memory"] if one.way == "a note for after a connection")
    await noted.plant(world, alice, noted.orders)
    await heard(alice, 0, [attack.shown for attack in noted.attacks], noted.way)
    last = world.emulators.openai.requests[-1].body["input"]
    assert [item["role"] for item in last if "eve@evil.example" in str(item.get("content"))] == ["assistant"]


async def test_ordinary_use_runs_without_questions_and_taint_passes(world: World) -> None:
    """A list taints the turns; three turns later the person's request runs again without a question."""
    alice = world.phone("Alice")
    offer = await world.ask(alice, 'create a task "Call the bank"')
    assert offer.link is not None
    async with a_browser() as browser:
        done = await world.ask(alice, await browser.follow(offer.link.url))
    assert "Call the bank" in done.text
    assert not done.choices
    for name in ("Buy milk", "Buy bread"):
        created = await world.ask(alice, f'create a task "{name}"')
        assert (name in created.text, created.choices) == (True, [])
    await world.ask(alice, "list my tasks")
    asked = await world.ask(alice, 'create a task "Soon"')
    assert [choice.title for choice in asked.choices] == ["Approve", "Refuse"]
    for _ in range(3):
        await world.ask(alice, "thank you")
    created = await world.ask(alice, 'create a task "Later"')
    assert ("Later" in created.text, created.choices) == (True, [])
