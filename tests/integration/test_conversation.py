"""One person and their kernel: answered, connected, evicted, restarted."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kernel.v1 import admin_pb2

from tests.connect_browser import a_browser
from tests.integration.world import ADMIN_TOKEN, WHATSAPP_TOKEN, bearer

if TYPE_CHECKING:
    import pytest

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World


async def connect(world: World, phone: Phone) -> str:
    """Ask for Asana, follow the button, approve, and send the code. Returns the link."""
    offer = await world.ask(phone, "connect my asana")
    assert offer.link is not None
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    connected = await world.ask(phone, f"Connect {code}")
    assert connected.text == "Asana is connected."
    return offer.link.url


async def test_a_message_is_answered(world: World) -> None:
    alice = world.phone("Alice")
    answer = await world.ask(alice, "hello there")
    assert "hello there" in answer.text
    assert "message 1 of our chat" in answer.text
    async with asyncio.timeout(10):
        while alice.messages[0].ticks != "read":  # the answer does not wait for the read receipt
            await asyncio.sleep(0.01)


async def test_the_link_is_a_button_and_never_reaches_the_model(world: World) -> None:
    alice = world.phone("Alice")
    offer = await world.ask(alice, "connect my asana")
    assert offer.link is not None
    assert offer.link.url not in offer.text
    assert "/connect/" in offer.link.url
    assert all(offer.link.url not in str(call.body) for call in world.emulators.openai.requests)


async def test_a_connected_person_sees_only_their_own_tasks(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    await connect(world, alice)
    person = await world.person_of(alice)
    tasks = [task.name for task in world.emulators.composio.tasks_of(person)]
    listed = await world.ask(alice, "list my tasks")
    assert tasks
    assert all(name in listed.text for name in tasks)
    refused = await world.ask(bob, "list my tasks")
    assert refused.link is not None
    assert not any(name in refused.text for name in tasks)


async def test_a_person_is_told_their_own_words_alone(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    await world.ask(alice, "create a task: Rest")
    await alice.tap(await world.ask(alice, "delete the task Rest"), "Approve")
    await alice.wait_for_message(timeout=20)
    told = (await world.ask(alice, "what did I say?")).text
    assert "2. “create a task: Rest” 3. “delete the task Rest”" in told
    assert "[" not in told


async def test_a_created_task_is_created_once(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    await world.ask(alice, 'create a task "Call the bank"')
    person = await world.person_of(alice)
    assert [t.name for t in world.emulators.composio.tasks_of(person)].count("Call the bank") == 1


async def test_a_hundred_first_messages_make_one_kernel_and_one_session(world: World) -> None:
    alice = world.phone("Alice")
    await asyncio.gather(*(alice.send(f"connect my asana, {n}") for n in range(100)))
    await alice.wait_for_message(lambda message: message.link is not None, timeout=30)
    assert world.kernel.kernels.activations == 1
    assert len(world.emulators.composio.sessions) == 1


async def test_an_evicted_person_notices_nothing_and_no_vendor_is_asked(world: World) -> None:
    alice = world.phone("Alice")
    link = await connect(world, alice)
    await world.ask(alice, "my name is Alice")
    before = await world.kernel_of(alice)
    await world.evict(alice)
    asked = len(world.emulators.composio.requests)
    answer = await world.ask(alice, "what is my name")
    after = await world.kernel_of(alice)
    assert answer.text == "Your name is Alice."
    assert len(world.emulators.composio.requests) == asked
    assert after.tool_session_id == before.tool_session_id != ""
    assert after.epoch == before.epoch + 1
    assert link


async def test_a_live_link_is_offered_again_after_eviction_and_restart(world: World) -> None:
    alice = world.phone("Alice")
    first = await world.ask(alice, "connect my gmail")
    await world.evict(alice)
    second = await world.ask(alice, "connect my gmail")
    await world.stop_kernel()
    await world.start_kernel()
    third = await world.ask(alice, "connect my gmail")
    assert first.link
    assert second.link
    assert third.link
    assert first.link.url == second.link.url == third.link.url


async def test_a_restart_of_either_service_in_mid_conversation_is_not_noticed(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "my name is Alice")
    await world.stop_gateway()
    await world.start_gateway()
    await world.ask(alice, "the weather is fine")
    await world.stop_kernel()
    written = alice.write("what is my name")  # no gateway accepts it, so WhatsApp delivers it again
    await world.start_kernel()
    answer = await alice.wait_for_message(timeout=30)
    assert answer.text == "Your name is Alice."
    assert written.ticks


async def test_a_turn_cut_by_a_shutdown_resumes_after_it(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    hold = world.emulators.openai.hold()
    await alice.send("list my tasks")
    await hold.reached.wait()
    await world.kernel.kernels.drain(0)
    hold.release()
    await world.stop_kernel()
    await world.start_kernel()
    answer = await alice.wait_for_message(timeout=30)
    assert "owner" in answer.text
    replies = [m for m in alice.received if "owner" in m.text]
    assert len(replies) == 1


async def test_operators_see_turns_and_replies_but_no_words(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "a secret of mine")
    turns = await world.admin.ListTurns(
        admin_pb2.ListTurnsRequest(person=world.ref(alice)), metadata=bearer(ADMIN_TOKEN)
    )
    assert [turn.status for turn in turns.turns] == [admin_pb2.TURN_STATUS_COMPLETED]
    assert turns.turns[0].message_ids == ["1"]  # our own id, because WhatsApp's contains a number
    assert turns.turns[0].usage.model_calls == 1
    request = admin_pb2.ListRepliesRequest(person=world.ref(alice))
    while True:  # until the gateway has acknowledged and WhatsApp has reported
        replies = await world.admin.ListReplies(request, metadata=bearer(ADMIN_TOKEN))
        if [part.receipt for part in replies.replies[0].parts] == [admin_pb2.RECEIPT_STATE_DELIVERED]:
            break
    assert [reply.state for reply in replies.replies] == [admin_pb2.REPLY_STATE_SENT]
    assert "secret" not in f"{turns}{replies}"


async def test_the_log_knows_no_words_ids_links_or_tokens(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    alice = world.phone("Alice")
    await world.ask(alice, "a secret of mine")
    offer = await world.ask(alice, "connect my asana")
    world.emulators.openai.fail(500, times=1)
    await world.ask(alice, "another secret")
    assert offer.link is not None
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("emulators")]
    assert any("turn=t_" in line for line in ours)
    for private in ("secret", alice.user_id, alice.wa_id, "lk_", offer.link.url, WHATSAPP_TOKEN, ADMIN_TOKEN):
        assert not any(private in line for line in ours)
