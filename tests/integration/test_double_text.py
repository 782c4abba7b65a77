"""Several messages at once, "stop", and the progress that a watching caller sees."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from kernel.v1 import messages_pb2

from kernel_service import texts
from tests.integration.test_conversation import connect
from tests.integration.test_kernelctl import ctl
from tests.integration.world import TELEGRAM_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.world import World


async def watched(world: World, text: str, message_id: str, then: Callable[[str], object] = str) -> list[str]:
    """The names of a message's events, without those of the answer's text. `then` gets each as it comes."""
    message = messages_pb2.HandleMessageRequest(
        user_id="telegram:42", message_id=message_id, payload=messages_pb2.Payload(text=text)
    )
    stream: Any = world.stub.StreamMessage(
        messages_pb2.StreamMessageRequest(message=message), metadata=bearer(TELEGRAM_TOKEN), timeout=30
    )
    names = []
    async for event in stream:
        names.append(event.WhichOneof("event"))
        then(names[-1])
    return [name for name in names if not name.startswith("text_")]


async def test_five_lines_of_a_burst_get_one_answer(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_debounce_seconds=0.6) as world:
        alice = world.phone("Alice")
        for number in range(5):
            await alice.send(f"line {number}")
        answer = await alice.wait_for_message(timeout=20)
        assert "message 5 of our chat" in answer.text
        await world.ask(alice, "and now")
        assert len(alice.received) == 2


async def test_messages_during_a_model_call_get_one_answer_together(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    await alice.send("line 0")
    await hold.reached.wait()
    for number in range(1, 5):
        await alice.send(f"line {number}")
    hold.release()
    told = [await alice.wait_for_message(timeout=20)]
    while "line 4" not in told[-1].text:
        told.append(await alice.wait_for_message(timeout=20))
    # A turn accepts three joining messages; the next turn handles later ones.
    shown = "\n".join(message.text for message in told)
    assert len(told) <= 2
    assert [shown.count(f"line {number}") for number in range(5)] == [1] * 5


async def test_metrics_count_the_outcomes_of_turns(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(400, times=1)
    await world.ask(alice, "the poison")
    await world.ask(alice, "hello")
    page = await world.metrics()
    assert 'kernel_turns_total{outcome="dead"} 1.0' in page
    assert 'kernel_turns_total{outcome="completed"} 1.0' in page


async def test_stop_is_obeyed(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    await alice.send("tell me a very long story")
    await hold.reached.wait()
    stopped = await world.ask(alice, "Stop.")
    hold.release()
    assert stopped.text == texts.answers.STOPPED
    assert "hello" in (await world.ask(alice, "hello")).text
    assert len(alice.received) == 2
    assert "story" not in str(world.emulators.openai.requests[-1].body)


async def test_calls_before_stop_are_known_and_later_ones_not_made(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice)
    person = await world.person_of(alice)
    hold = world.emulators.composio.hold(lambda call: call.path.endswith("/execute"))
    await alice.send('create a task "Call the bank"')
    await hold.reached.wait()
    await alice.send("stop")
    hold.release()
    assert (await alice.wait_for_message(timeout=20)).text == texts.answers.STOPPED
    assert [task.name for task in world.emulators.composio.tasks_of(person)].count("Call the bank") == 1


async def test_a_watching_caller_sees_the_progress_of_a_message(world: World) -> None:
    hold = world.emulators.openai.hold()
    first = asyncio.create_task(
        watched(world, "connect my asana", "m1", lambda name: hold.release() if name == "merged" else None)
    )
    await hold.reached.wait()
    second = asyncio.create_task(watched(world, "please", "m2"))
    assert (await first)[:2] == ["accepted", "merged"]
    told = await second
    assert told[0] == "accepted"
    assert told[-4:] == ["tool_started", "connect_needed", "tool_finished", "completed"]
    assert await watched(world, "please", "m2") == ["accepted", "completed"]  # a repeated call gets the end


async def test_an_operator_lets_a_dead_letter_run_again(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(400, times=1)
    assert (await world.ask(alice, "the poison")).text == texts.answers.FAILED
    letters = json.loads((await ctl(world, "dead")).stdout)["dead_letters"]
    assert [letter["message_id"] for letter in letters] == ["1"]
    assert not any(secret in str(letters) for secret in ("poison", alice.messages[0].id, alice.wa_id))
    assert (await ctl(world, "requeue", letters[0]["id"])).exit_code == 0
    assert "the poison" in (await alice.wait_for_message(timeout=20)).text
    assert json.loads((await ctl(world, "dead")).stdout)["dead_letters"] == []
    assert (await ctl(world, "requeue", "dl_none")).stderr.startswith("kernelctl: NOT_FOUND")
