"""An operator deletes a person: nothing of them is stored, done or sent afterwards, whatever was under way."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import aiohttp
import grpc
import pytest
from click.testing import CliRunner
from kernel.v1 import admin_pb2, messages_pb2

from kernel_service import texts
from kernel_service.inbox.inbox import LINK_SECONDS
from kernel_service.storage.deleting import stored_of_people
from kernelctl.kernelctl import main
from tests.connect_browser import a_browser
from tests.integration.test_approvals import asked, connected, deletions, tapped
from tests.integration.test_conversation import connect
from tests.integration.test_kernelctl import ctl
from tests.integration.test_redelivery import deliver_again, keep_deliveries
from tests.integration.test_reset import FIRST
from tests.integration.test_triggers import BANK, hearing, who_waits
from tests.integration.world import ADMIN_TOKEN, TELEGRAM_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

WITHIN = 20


async def delete(world: World, phone: Phone) -> admin_pb2.DeletePersonResponse:
    request = admin_pb2.DeletePersonRequest(person=world.ref(phone))
    return await world.admin.DeletePerson(request, metadata=bearer(ADMIN_TOKEN), timeout=WITHIN)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not is_so():
            await asyncio.sleep(0.02)


def stored(path: Path, word: str) -> list[str]:
    """The tables that hold the word in any row."""
    with closing(sqlite3.connect(path / "kernel.db", timeout=10)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return [name for name in tables if word in str(database.execute(f"SELECT * FROM {name}").fetchall())]  # noqa: S608


async def is_new(world: World, phone: Phone) -> bool:
    """Whether the assistant knows nothing of the person who writes."""
    return (await world.ask(phone, "repeat what I said")).text == FIRST


# --- kernelctl --------------------------------------------------------------------------------------------------------


async def ctl_typing(world: World, typed: str, *words: str) -> Any:
    options = ["--address", world.kernel_address, "--token", ADMIN_TOKEN]
    return await asyncio.to_thread(CliRunner().invoke, main, [*options, *words], input=typed)


async def test_an_operator_deletes_a_person_who_inherits_nothing_afterwards(world: World, tmp_path: Path) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    await connect(world, alice)
    await world.ask(alice, "remember that I like tea")
    await world.ask(alice, "my name is Alice")
    await world.ask(bob, "my name is Bob")
    person = await world.person_of(alice)
    done = await ctl_typing(world, f"{person}\n", "delete", f"whatsapp:{alice.user_id}")
    assert done.exit_code == 0, done.output
    assert f"{person} writes on whatsapp and has 1 connection." in done.stdout
    assert f"Deleted {person}: " in done.stdout
    assert "  1 fact\n" in done.stdout
    assert "the service asks it until it has." in done.stdout
    await until(lambda: not world.emulators.composio.accounts_of(person))
    await until(lambda: all(session.user_id != person for session in world.emulators.composio.sessions))
    await until(lambda: stored(tmp_path, person) == [])
    assert await is_new(world, alice)
    assert (await world.ask(alice, "what do you know about me")).text.count("tea") == 0
    assert (await world.ask(alice, "list my tasks")).link is not None, "no account is inherited"
    assert await world.person_of(alice) != person
    assert (await world.ask(bob, "what is my name")).text == "Your name is Bob."


async def test_another_id_that_is_typed_deletes_no_person(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    kept = await ctl_typing(world, "p_other\n", "delete", f"whatsapp:{alice.user_id}")
    assert (kept.exit_code, kept.stderr) == (1, "kernelctl: that is another id, so nothing was deleted\n")
    assert (await world.ask(alice, "what is my name")).text == "Your name is Alice."


@pytest.mark.parametrize("yes", [[], ["--yes"]])
@pytest.mark.parametrize("who", ["whatsapp:DE.nobody", "p_nobody"])
async def test_a_person_who_is_not_known_is_not_found(world: World, who: str, yes: list[str]) -> None:
    refused = await ctl(world, "delete", who, *yes)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("kernelctl: NOT_FOUND: ")


async def test_a_person_is_deleted_once(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    person = await world.person_of(alice)
    assert (await ctl(world, "delete", person, "--yes")).exit_code == 0
    again = await ctl(world, "delete", person, "--yes")
    assert (again.exit_code, again.stderr) == (1, "kernelctl: NOT_FOUND: no such person\n")


async def test_the_call_needs_the_admin_token(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    request = admin_pb2.DeletePersonRequest(person=world.ref(alice))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.admin.DeletePerson(request, metadata=bearer("some other token"), timeout=WITHIN)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


# --- while something is under way -------------------------------------------------------------------------------------


async def test_a_running_turn_ends_and_says_nothing(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    person = await world.person_of(alice)
    hold = world.emulators.openai.hold()
    await alice.send("what is my name")
    await hold.reached.wait()
    await delete(world, alice)
    assert stored(tmp_path, person) == []
    await until(lambda: person not in world.kernel.kernels)
    hold.release()
    assert await is_new(world, alice)
    assert len(alice.received) == 2, "the question was not answered"
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_call_that_is_being_made_is_made_once_and_not_reported(world: World, tmp_path: Path) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    person, before = await world.person_of(alice), len(alice.received)
    hold = world.emulators.composio.hold(lambda call: call.path.endswith("/execute"))
    await alice.send('create a task "Call the bank"')
    await hold.reached.wait()
    await delete(world, alice)
    hold.release()
    await until(lambda: person not in world.kernel.kernels)
    assert await is_new(world, alice)
    assert len(alice.received) == before + 1
    tasks = [task.name for task in world.emulators.composio.tasks_of(person)]
    assert tasks.count("Call the bank") <= 1
    assert stored(tmp_path, person) == []


async def test_an_inline_caller_that_waits_is_told_that_the_person_is_gone(world: World) -> None:
    hold = world.emulators.openai.hold()
    waiting = asyncio.ensure_future(world.tell("telegram:42", "hello", "m1"))
    await hold.reached.wait()
    request = admin_pb2.DeletePersonRequest(person=admin_pb2.PersonRef(user_id="telegram:42"))
    await world.admin.DeletePerson(request, metadata=bearer(ADMIN_TOKEN), timeout=WITHIN)
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await asyncio.wait_for(waiting, WITHIN)
    assert told.value.code() is grpc.StatusCode.NOT_FOUND
    hold.release()
    repeated = await world.tell("telegram:42", "hello", "m1")
    assert (repeated.duplicate, list(repeated.replies)) == (True, [])


async def test_a_reply_on_its_way_is_sent_at_most_and_its_reports_are_ignored(world: World, tmp_path: Path) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    person = await world.person_of(alice)
    hold = world.emulators.whatsapp.graph.before.hold(lambda call: call.body.get("type") == "text")
    await alice.send("hello again")
    await hold.reached.wait()
    await delete(world, alice)
    hold.release()
    await alice.wait_for_message(timeout=WITHIN)
    assert await is_new(world, alice)
    assert stored(tmp_path, person) == []


async def test_an_open_link_ends(world: World) -> None:
    alice = world.phone("Alice")
    offer = await world.ask(alice, "connect my asana")
    assert offer.link is not None
    async with aiohttp.ClientSession() as session:
        async with session.get(offer.link.url) as page:
            assert page.status == 200
        await delete(world, alice)
        async with session.get(offer.link.url) as page:
            assert page.status == 404


async def test_a_question_that_is_tapped_afterwards_approves_nothing(world: World, tmp_path: Path) -> None:
    alice = await connected(world, "Alice")
    person, question = await world.person_of(alice), await asked(world, alice)
    await delete(world, alice)
    assert await tapped(alice, question, "Approve") == texts.approvals.WITHOUT_EFFECT["unknown"]
    assert deletions(world) == []
    assert stored(tmp_path, person) == []


@pytest.mark.parametrize("step", ["asks the vendor", "is at the vendor", "shows the code"])
async def test_a_browser_that_continues_afterwards_connects_nothing(tmp_path: Path, step: str) -> None:
    async with whole_world(tmp_path, kernel_sweep_seconds=0.2) as world, a_browser() as browser:
        alice = world.phone("Alice")
        offer = await world.ask(alice, "connect my asana")
        assert offer.link is not None
        person, vendor = await world.person_of(alice), world.emulators.composio
        if step == "asks the vendor":
            hold = vendor.hold(lambda call: call.path.endswith("/link"))
            await browser.open(offer.link.url)
            continuing = asyncio.ensure_future(browser.submit())
            await hold.reached.wait()
            await delete(world, alice)
            hold.release()
            await continuing
        elif step == "is at the vendor":
            await browser.to_consent(offer.link.url)
            await delete(world, alice)
            await browser.approve()
        else:
            code = await browser.follow(offer.link.url)
            await delete(world, alice)
            await browser.open(browser.url)
            assert (await world.ask(alice, f"Connect {code}")).text == texts.connecting.CODE_UNKNOWN
        assert (browser.status, browser.code) == (404, "")
        await until(lambda: not vendor.accounts_of(person))
        await until(lambda: all(session.user_id != person for session in vendor.sessions))
        await until(lambda: stored(tmp_path, person) == [])


async def test_a_session_that_is_being_made_is_removed(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_sweep_seconds=0.2) as world:
        alice = world.phone("Alice")
        await world.ask(alice, "hello")
        person, vendor = await world.person_of(alice), world.emulators.composio
        hold = vendor.hold(lambda call: call.path == "/tool_router/session")
        await alice.send("connect my asana")
        await hold.reached.wait()
        await delete(world, alice)
        vendor.fail(503, 2, match=lambda call: call.method == "DELETE")
        hold.release()
        await until(lambda: any(session.user_id == person for session in vendor.sessions))
        await until(lambda: all(session.user_id != person for session in vendor.sessions))


async def test_events_that_come_afterwards_are_ignored(tmp_path: Path) -> None:
    async with hearing(tmp_path) as world:
        alice = await who_waits(world)
        person = await world.person_of(alice)
        await delete(world, alice)
        deliveries = world.emulators.composio.arrives(person, BANK, "Your account", "Please call us.")
        assert all([await each == 200 for each in deliveries])
        await until(lambda: not world.emulators.composio.triggers)
        assert await is_new(world, alice)
        assert stored(tmp_path, person) == []


# --- the chat of an address -------------------------------------------------------------------------------------------

CHAT = "https://chat.example/42?text={text}"


async def say_in_chat(world: World, message_id: str) -> messages_pb2.HandleMessageResponse:
    """In a chat whose address and link are the person's alone."""
    request = messages_pb2.HandleMessageRequest(
        user_id="telegram:42",
        message_id=message_id,
        payload=messages_pb2.Payload(text="hello"),
        address="chat of 42",
        chat_link=CHAT,
    )
    return await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=WITHIN)


async def delete_42(world: World) -> None:
    request = admin_pb2.DeletePersonRequest(person=admin_pb2.PersonRef(user_id="telegram:42"))
    await world.admin.DeletePerson(request, metadata=bearer(ADMIN_TOKEN), timeout=WITHIN)


async def test_a_repeated_message_brings_no_address_back(world: World, tmp_path: Path) -> None:
    await say_in_chat(world, "m1")
    await delete_42(world)
    world.pass_time(LINK_SECONDS + 1)
    assert (await say_in_chat(world, "m1")).duplicate
    assert stored(tmp_path, "chat of 42") == []


async def test_the_next_message_brings_the_link_to_the_chat_again(world: World) -> None:
    await say_in_chat(world, "m1")
    await delete_42(world)
    await say_in_chat(world, "m2")
    assert await world.kernel.store.chats.link("telegram", "chat of 42") == CHAT


# --- afterwards -------------------------------------------------------------------------------------------------------


async def test_a_webhook_that_whatsapp_repeats_is_not_answered_again(world: World) -> None:
    alice = world.phone("Alice")
    kept = keep_deliveries(world)
    for text in ("one", "two"):
        await world.ask(alice, text)
    await delete(world, alice)
    await deliver_again(world, list(kept), random.Random(1))
    with pytest.raises(grpc.aio.AioRpcError, match="no person"):
        await world.kernel_of(alice)
    assert await is_new(world, alice)
    await deliver_again(world, list(kept), random.Random(2))
    assert "still here" in (await world.ask(alice, "still here")).text
    assert len(alice.received) == 4


async def test_accounts_are_removed_when_the_vendor_is_back(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_sweep_seconds=0.2) as world:
        alice = world.phone("Alice")
        await connect(world, alice)
        person = await world.person_of(alice)
        world.emulators.composio.fail(503, 1000, match=lambda call: call.method == "DELETE")
        assert (await delete(world, alice)).revocations == 2
        failed = len(world.emulators.composio.requests)
        await until(lambda: len(world.emulators.composio.requests) > failed)
        assert stored(tmp_path, person) == []
        assert (await world.kernel.store.admin.backlog(now=world.now())).revocations == 2
        await world.stop_kernel()
        world.emulators.composio.faults.clear()
        await world.start_kernel()
        await until(lambda: not world.emulators.composio.accounts_of(person))
        async with asyncio.timeout(WITHIN):
            while (await world.kernel.store.admin.backlog(now=world.now())).revocations:
                pass
        assert stored(tmp_path, "ca_") == []


async def test_a_deletion_that_a_crash_interrupted_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with whole_world(tmp_path, kernel_sweep_seconds=0.2) as world:
        alice = world.phone("Alice")
        for text in ("one", "two", "three"):
            await world.ask(alice, text)
        person = await world.person_of(alice)
        with monkeypatch.context() as small:
            small.setattr(stored_of_people, "PAGE", 1)
            assert not (await world.kernel.store.deletion.begin(person, now=world.now())).is_last
        await world.stop_kernel()
        await world.start_kernel()
        assert await is_new(world, alice), "the rest is not in the way of a new message"
        assert stored(tmp_path, person) != []
        world.pass_time(61)
        await until(lambda: stored(tmp_path, person) == [])
        assert "and now" in (await world.ask(alice, "and now")).text


# --- whose values do not open -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["UPDATE person SET data_key = zeroblob(60)", "UPDATE alias SET value = x'00'"])
async def test_a_person_whose_values_do_not_open_is_deleted(world: World, tmp_path: Path, damage: str) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    person = await world.person_of(alice)
    await world.stop_kernel()
    with closing(sqlite3.connect(tmp_path / "kernel.db")) as database, database:
        database.execute(damage)
    await world.start_kernel()
    done = await ctl_typing(world, f"{person}\n", "delete", f"whatsapp:{alice.user_id}")
    assert done.exit_code == 0, done.output
    assert f"{person} writes on whatsapp and has 1 connection." in done.stdout
    await until(lambda: not world.emulators.composio.accounts_of(person))
    await until(lambda: stored(tmp_path, person) == [])
    assert await is_new(world, alice)
