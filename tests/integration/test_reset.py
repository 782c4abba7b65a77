"""A new context for the model, for the person or an operator: no stored data is lost, and people are answered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import texts
from tests.connect_browser import a_browser
from tests.integration.test_approvals import asked, connected, tapped, tasks
from tests.integration.test_connect import DEMO
from tests.integration.test_conversation import connect
from tests.integration.test_kernelctl import ctl
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

FIRST = "This is the first thing you have written to me."


def run(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "kernel.db", timeout=10)) as database, database:
        return list(database.execute(sql, values))


async def reset(world: World, phone: Phone, *, by_person: bool = False) -> None:
    who = await world.person_of(phone) if by_person else f"whatsapp:{phone.user_id}"
    done = await ctl(world, "reset", who)
    assert (done.exit_code, done.stderr) == (0, "")


# --- the person's own -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["new chat", "/new", "Start over!"])
async def test_a_new_chat_starts_empty_and_keeps_the_connections(world: World, text: str) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    await world.ask(alice, "my name is Alice")
    asked = len(world.emulators.openai.requests)
    assert (await world.ask(alice, text)).text == texts.answers.NEW_CHAT
    assert len(world.emulators.openai.requests) == asked, "the model is not shown it"
    assert (await world.ask(alice, "what is my name")).text == "You have not told me your name."
    assert "Alice" not in str(world.emulators.openai.requests[-1].body)
    assert "Call the bank" in (await world.ask(alice, 'create a task "Call the bank"')).text
    assert [one.toolkit for one in (await world.kernel_of(alice)).connections] == ["asana"]


async def test_a_new_chat_outlives_eviction_and_a_restart(world: World, tmp_path: Path) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    await world.ask(alice, "new chat")
    await world.evict(alice)
    assert (await world.ask(alice, "repeat what I said")).text == FIRST
    await world.stop_kernel()
    await world.start_kernel()
    assert "my name" not in (await world.ask(alice, "repeat what I said")).text
    assert run(tmp_path, "SELECT count(*) FROM item")[0][0] >= 6, "all of it is kept"


async def test_text_about_a_new_chat_is_a_message(world: World) -> None:
    alice = world.phone("Alice")
    assert "the new chat app is nice" in (await world.ask(alice, "the new chat app is nice")).text


async def test_a_new_chat_waits_for_what_was_said_before_it(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    await alice.send("my name is Alice")
    await hold.reached.wait()
    await alice.send("new chat")
    await alice.send("what is my name")
    hold.release()
    told = [(await alice.wait_for_message(timeout=20)).text for _ in range(3)]
    assert told[0].startswith("Nice to meet you, Alice.")
    assert told[1:] == [texts.answers.NEW_CHAT, "You have not told me your name."]


async def test_a_request_that_waits_for_a_connection_outlives_a_new_chat(world: World) -> None:
    alice = world.phone("Alice")
    offer = await world.ask(alice, f"create a task: {DEMO}")
    assert offer.link is not None
    await world.ask(alice, "new chat")
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    done = await world.ask(alice, f"my code is {code.lower()}, thanks")
    assert done.text.startswith("Asana is connected.")
    assert [task.name for task in world.emulators.composio.tasks_of(await world.person_of(alice))].count(DEMO) == 1


@pytest.mark.parametrize("by_operator", [True, False])
@pytest.mark.parametrize(("title", "left"), [("Approve", 0), ("Refuse", 1)])
async def test_an_earlier_button_still_makes_the_call_that_it_showed(
    world: World, title: str, left: int, *, by_operator: bool
) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    if by_operator:
        await reset(world, alice)
    else:
        await world.ask(alice, "new chat")
    assert await tapped(alice, question, title) == ("Done." if title == "Approve" else texts.approvals.REFUSED)
    assert sum(task.name.startswith("Prepare demo") for task in await tasks(world, alice)) == left
    assert "not told me" in (await world.ask(alice, "what is my name")).text


# --- an operator's --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("by_person", [True, False])
async def test_an_operator_resets_a_context(world: World, *, resident: bool, by_person: bool) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    await world.ask(alice, "my name is Alice")
    await world.ask(bob, "my name is Bob")
    if not resident:
        await world.evict(alice)
    for _ in range(2):
        await reset(world, alice, by_person=by_person)
    assert (await world.ask(alice, "what is my name")).text == "You have not told me your name."
    assert (await world.ask(bob, "what is my name")).text == "Your name is Bob."


@pytest.mark.parametrize("who", ["whatsapp:DE.nobody", "p_nobody"])
async def test_an_unknown_context_is_not_found(world: World, who: str) -> None:
    refused = await ctl(world, "reset", who)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("kernelctl: NOT_FOUND: ")


async def test_a_running_turn_continues_with_its_own_messages_only(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    hold = world.emulators.openai.hold()
    await alice.send("what is my name")
    await hold.reached.wait()
    await reset(world, alice)
    hold.release()
    assert (await alice.wait_for_message(timeout=20)).text == "You have not told me your name."
    assert len(alice.received) == 2


async def test_a_running_call_is_made_once_and_its_result_reported(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    hold = world.emulators.composio.hold(lambda call: call.path.endswith("/execute"))
    await alice.send('create a task "Call the bank"')
    await hold.reached.wait()
    await reset(world, alice)
    hold.release()
    assert "Call the bank" in (await alice.wait_for_message(timeout=20)).text
    tasks = world.emulators.composio.tasks_of(await world.person_of(alice))
    assert [task.name for task in tasks].count("Call the bank") == 1


# --- damage ---------------------------------------------------------------------------------------------------------


async def test_a_person_with_a_damaged_history_is_still_answered(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    await world.ask(alice, "I like tea")
    await world.evict(alice)
    run(tmp_path, "UPDATE item SET data = x'00' WHERE seq = 1")
    told = (await world.ask(alice, "repeat what I said")).text
    assert "tea" in told
    assert "Alice" not in told
    assert any("alert: history damaged" in record.getMessage() for record in caplog.records)
    assert "tea" in (await world.ask(alice, "repeat what I said")).text


async def test_a_reset_works_however_damaged_the_history_is(world: World, tmp_path: Path) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    await world.evict(alice)
    run(tmp_path, "UPDATE item SET data = x'00'")
    await reset(world, alice)
    assert (await world.ask(alice, "repeat what I said")).text == FIRST


async def test_a_message_that_is_damaged_is_asked_for_again(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_debounce_seconds=1) as world:
        alice = world.phone("Alice")
        await alice.send("hello")
        while not run(tmp_path, "SELECT count(*) FROM message WHERE turn_id IS NULL")[0][0]:
            pass
        run(tmp_path, "UPDATE message SET payload = x'00'")
        assert (await alice.wait_for_message(timeout=20)).text == texts.attachments.unsupported("unavailable")
        assert "and now" in (await world.ask(alice, "and now")).text
