"""Vendors that are down, slow, refusing or invalid: an honest sentence or a later answer, without effect on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kernel.v1 import admin_pb2

from emulators.faults import matching
from emulators.openai.turns import ToolCall
from kernel_service.rate_limits.fair_queue import MAX_PAUSE_SECONDS
from tests.integration.test_conversation import connect
from tests.integration.world import ADMIN_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.openai.turns import Turn
    from tests.integration.world import World


@pytest.mark.parametrize("status", [0, 401, 429, 500, 503])
async def test_a_failing_model_call_is_retried(world: World, status: int) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(status, times=1, retry_after=0)
    answer = await world.ask(alice, "hello")
    assert "hello" in answer.text
    assert len(alice.received) == 1


async def test_an_invalid_answer_of_the_model_is_retried(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(200, times=1, body="<html>gateway</html>")
    answer = await world.ask(alice, "hello")
    assert "hello" in answer.text


async def test_compressed_answers_of_every_vendor_are_understood(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.compresses = world.emulators.composio.compresses = True
    assert "hello" in (await world.ask(alice, "hello")).text
    await connect(world, alice)
    assert "Call the bank" in (await world.ask(alice, "create a task: Call the bank")).text


async def test_a_permanently_refused_message_is_reported_and_spoils_nothing(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(400, times=1)
    failed = await world.ask(alice, "the poison")
    after = await world.ask(alice, "hello")
    assert failed.text.startswith("Something went wrong on my side")
    assert "hello" in after.text
    assert "poison" not in str(world.emulators.openai.requests[-1].body)


async def test_one_persons_held_turn_does_not_delay_another(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    hold = world.emulators.openai.hold(lambda call: "slow question" in str(call.body))
    await alice.send("slow question")
    await hold.reached.wait()
    answer = await world.ask(bob, "hello")
    assert "hello" in answer.text
    assert alice.received == []
    hold.release()
    assert "slow question" in (await alice.wait_for_message(timeout=20)).text


async def test_an_operator_sees_why_a_turn_is_held(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(429, times=1, retry_after=3600)
    await alice.send("hello")
    request = admin_pb2.ListTurnsRequest(person=world.ref(alice))
    while True:
        turns = (await world.admin.ListTurns(request, metadata=bearer(ADMIN_TOKEN))).turns
        if turns and turns[0].status == admin_pb2.TURN_STATUS_HELD:
            break
    assert turns[0].problem.startswith("model_")
    assert MAX_PAUSE_SECONDS - 1 <= turns[0].not_before.seconds - turns[0].started_at.seconds < MAX_PAUSE_SECONDS + 60


@pytest.mark.parametrize("status", [0, 401, 429, 500])
async def test_failing_tools_are_reported_and_recover(world: World, status: int) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    world.emulators.composio.fail(status, times=10, match=lambda call: call.path.endswith("/execute"))
    failed = await world.ask(alice, "list my tasks")
    assert "owner" not in failed.text
    world.emulators.composio.clear()
    recovered = await world.ask(alice, "list my tasks")
    assert "owner" in recovered.text


async def test_plain_messages_are_answered_without_composio(world: World) -> None:
    world.emulators.composio.fail(500, times=1000)
    answer = await world.ask(world.phone("Alice"), "hello")
    assert "hello" in answer.text


async def test_a_spent_budget_is_reported_without_the_model(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_daily_tokens_per_user=1) as world:
        alice, bob = world.phone("Alice"), world.phone("Bob")
        await world.ask(alice, "hello")
        refused = await world.ask(alice, "hello again")
        assert refused.text.startswith("Today's limit is reached, so I can't do that now. Please ask again in about ")
        assert len(world.emulators.openai.requests) == 1
        assert "hello" in (await world.ask(bob, "hello")).text


async def test_a_person_who_is_not_on_the_list_is_neither_served_nor_stored(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_allowed_users="telegram:*") as world:
        alice = world.phone("Alice")
        await alice.send("hello")  # accepted, so that it is not redelivered for a week
        assert await world.kernel.store.people.last_person_of(f"whatsapp:{alice.user_id}") is None
        assert "hello" in (await world.tell("telegram:42", "hello", "m1")).replies[0].text


async def test_instructions_and_tools_of_the_bot_s_developer(tmp_path: Path) -> None:
    file = tmp_path / "instructions.md"
    file.write_text("You work for the bakery at the corner.")
    settings = {"kernel_instructions_file": file, "kernel_tools": "docs.examples.tools:TOOLS"}
    async with whole_world(tmp_path, **settings) as world:
        await world.tell("telegram:42", "hello", "m1")
        body = world.emulators.openai.requests[0].body
        assert "bakery at the corner" in body["instructions"]
        assert {"connect"} < {tool["name"] for tool in body["tools"]}


async def test_after_a_lost_answer_of_composio_no_dependent_call_is_made(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    create: Turn = [ToolCall("ASANA_CREATE_TASK", {"name": name}) for name in ("first", "second")]
    world.emulators.openai.script([create, "I look first."])
    world.emulators.composio.after.fail(0, match=matching(path="/execute"))
    assert (await world.ask(alice, "make both")).text == "I look first."
    assert [effect.detail["arguments"]["name"] for effect in world.emulators.effects.all("tool_execution")] == ["first"]
