"""A call that deletes data or reaches others waits for the person's button, over every wire. Nothing else approves."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import messages_pb2

from emulators.composio.catalogue import Tool, Toolkit
from emulators.composio.tools import GID, READS
from emulators.composio.workplace import task_of
from emulators.faults import matching
from emulators.openai.turns import ToolCall
from tests.connect_browser import a_browser
from tests.integration.test_conversation import connect
from tests.integration.world import TELEGRAM_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.composio.workplace import Task, Workplace
    from emulators.effects import Effect
    from emulators.openai.turns import Turn
    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

PASSED_ON = {"context": {"forwarded": True}}


async def connected(world: World, label: str) -> Phone:
    phone = world.phone(label)
    await connect(world, phone)
    return phone


async def tasks(world: World, phone: Phone) -> list[Task]:
    return world.emulators.composio.tasks_of(await world.person_of(phone))


async def asked(world: World, phone: Phone, name: str = "Prepare demo") -> ChatMessage:
    """The question whether a task may be deleted."""
    question = await world.ask(phone, f"delete the task {name}")
    assert [choice.title for choice in question.choices] == ["Approve", "Refuse"], question.text
    return question


async def tapped(phone: Phone, question: ChatMessage, title: str) -> str:
    await phone.tap(question, title)
    return (await phone.wait_for_message(timeout=20)).text


async def disconnect(world: World, phone: Phone) -> None:
    question = await world.ask(phone, "disconnect my asana")
    assert "toolkit: asana" in question.text
    assert "is disconnected" in await tapped(phone, question, "Approve")


def made(world: World, tool: str) -> list[Effect]:
    return [effect for effect in world.emulators.effects.all("tool_execution") if effect.key == tool]


def deletions(world: World) -> list[Effect]:
    return made(world, "ASANA_DELETE_TASK")


async def test_an_approved_call_is_made_once_exactly_as_shown(world: World) -> None:
    alice = await connected(world, "Alice")
    [doomed, *others] = await tasks(world, alice)
    question = await asked(world, alice)
    assert f"Please confirm: *Asana: Delete a task*\n\n```\ntask_gid: {doomed.gid}\n```" in question.text
    assert deletions(world) == []
    assert await tapped(alice, question, "Approve") == "Done."
    assert await tasks(world, alice) == others
    assert await tapped(alice, question, "Approve") == "You have already answered this, so I did nothing more."
    [deletion] = deletions(world)
    assert deletion.detail["arguments"] == {"task_gid": doomed.gid}
    assert all("approval:" not in str(call.body) for call in world.emulators.openai.requests)


async def test_the_question_names_what_is_meant(world: World) -> None:
    alice = await connected(world, "Alice")
    [doomed, *_] = await tasks(world, alice)
    seen = (await asked(world, alice)).text
    assert seen.endswith(f"These ids stand for:\n\n```\n{doomed.gid}: “{doomed.name}”\n```")


def got(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    task = task_of(place, arguments)
    return {"data": {"gid": task.gid, "name": task.name}}


@pytest.mark.parametrize("status", [0, 200, 401, 500])
async def test_a_title_is_asked_for_where_none_was_seen_and_its_absence_keeps_nothing_back(
    world: World, status: int
) -> None:
    """The model may know an id from elsewhere. A read-only tool then gives the title."""
    gets = Tool("ASANA_GET_TASK", "asana", "Get a task", "Get a task.", READS, GID, ("task_gid",), got)
    world.emulators.composio.catalogue.add(Toolkit("asana", "Asana", "Tasks."), gets)
    alice = await connected(world, "Alice")
    [doomed, *_] = await tasks(world, alice)
    if status != 200:
        world.emulators.composio.fail(status, times=9, match=matching(path="/execute", text="ASANA_GET_TASK"))
    world.emulators.openai.script([[ToolCall("ASANA_DELETE_TASK", {"task_gid": doomed.gid})], "Your word, please."])
    seen = (await world.ask(alice, "delete it")).text
    assert f"task_gid: {doomed.gid}" in seen
    assert (f"{doomed.gid}: “{doomed.name}”" in seen) is (status == 200)
    assert deletions(world) == []


async def test_making_a_task_asks_nothing_and_sending_a_mail_does(world: World) -> None:
    alice = await connected(world, "Alice")
    assert not (await world.ask(alice, "create a task: Call the bank")).choices
    offer = await world.ask(alice, "send an email to bob@example.org saying hi *there*")
    assert offer.link is not None
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    question = await world.ask(alice, code)
    assert "recipient_email: bob@example.org\nsubject: Hello\nbody: hi *there*" in question.text
    assert not made(world, "GMAIL_SEND_EMAIL")
    assert await tapped(alice, question, "Approve") == "Done."
    assert len(made(world, "GMAIL_SEND_EMAIL")) == 1


async def with_gmail(world: World) -> Phone:
    alice = world.phone("Alice")
    offer = await world.ask(alice, "send an email to bob@example.org saying hi")
    assert offer.link is not None
    async with a_browser() as browser:
        code = await browser.follow(offer.link.url)
    await world.ask(alice, code)
    return alice


async def test_a_refusal_is_reported_to_the_model_and_final(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    assert await tapped(alice, question, "Refuse") == "All right, I didn't do it."
    assert await tapped(alice, question, "Approve") == "You have already answered this, so I did nothing more."
    await world.ask(alice, "hello")
    assert "[The person refused ASANA_DELETE_TASK with their button." in str(world.emulators.openai.requests[-1].body)
    assert deletions(world) == []


async def test_words_and_other_talk_approve_nothing_and_the_question_stays(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    for words in ("yes", "Approve", question.choices[0].id):
        assert words in (await world.ask(alice, words)).text
    assert deletions(world) == []
    assert await tapped(alice, question, "Approve") == "Done."


async def test_another_persons_button_and_one_passed_on_approve_nothing(world: World) -> None:
    alice, bob = await connected(world, "Alice"), await connected(world, "Bob")
    question = await asked(world, alice)
    assert await tapped(bob, question, "Approve") == "I don't know this approval, so I did nothing."
    await alice.send_as("interactive", _button(question), **PASSED_ON)
    told = await alice.wait_for_message(timeout=20)
    assert told.text == "A forwarded button approves nothing, so I did nothing."
    assert deletions(world) == []
    assert await tapped(alice, question, "Approve") == "Done."


def _button(question: ChatMessage) -> dict[str, Any]:
    chosen = question.choices[0]
    return {"type": "button_reply", "button_reply": {"id": chosen.id, "title": chosen.title}}


async def test_both_buttons_at_once(world: World) -> None:
    alice = await connected(world, "Alice")
    before = len(await tasks(world, alice))
    question = await asked(world, alice)
    await asyncio.gather(*(alice.tap(question, title) for title in ("Approve", "Refuse") * 3))
    told = [(await alice.wait_for_message(timeout=20)).text for _ in range(6)]
    assert told.count("You have already answered this, so I did nothing more.") == 5
    assert before - len(await tasks(world, alice)) == len(deletions(world)) == told.count("Done.")


async def test_a_question_expires(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    world.wall = lambda: time.time() + 1800
    assert (await tapped(alice, question, "Approve")).startswith("This approval is too old, so I did nothing.")
    assert deletions(world) == []


async def test_stop_takes_the_question_back(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    await world.ask(alice, "stop")
    assert (await tapped(alice, question, "Approve")).startswith("This approval is no longer valid")
    assert deletions(world) == []


async def test_a_new_chat_leaves_the_question_and_its_exact_call(world: World) -> None:
    alice = await connected(world, "Alice")
    [doomed, *others] = await tasks(world, alice)
    question = await asked(world, alice)
    await world.ask(alice, "new chat")
    world.emulators.openai.script([[ToolCall("ASANA_DELETE_TASK", {"task_gid": others[0].gid})], "Done."])
    again = await world.ask(alice, "delete another one")
    assert again.choices, "the button of another call approves nothing of this one"
    world.emulators.openai.clear()
    await tapped(alice, question, "Approve")
    assert [deletion.detail["arguments"] for deletion in deletions(world)] == [{"task_gid": doomed.gid}]


async def test_the_same_request_again_has_one_question(world: World) -> None:
    alice = await connected(world, "Alice")
    first, second = await asked(world, alice), await asked(world, alice)
    assert (await tapped(alice, first, "Approve")).startswith("This approval is no longer valid")
    assert await tapped(alice, second, "Approve") == "Done."
    assert len(deletions(world)) == 1


async def test_the_calls_of_one_step_are_one_question(world: World) -> None:
    alice = await connected(world, "Alice")
    first, second, *others = [task.gid for task in await tasks(world, alice)]
    both: Turn = [ToolCall("ASANA_DELETE_TASK", {"task_gid": gid}) for gid in (second, first)]
    world.emulators.openai.script([both, "Both of them?", "Done."])
    question = await world.ask(alice, "clean up")
    assert question.text.index(f"task_gid: {second}") < question.text.index(f"task_gid: {first}")
    assert [choice.title for choice in question.choices] == ["Approve all", "Refuse all"]
    assert await tapped(alice, question, "Approve all") == "Done."
    assert [task.gid for task in await tasks(world, alice)] == others
    assert [deletion.detail["arguments"]["task_gid"] for deletion in deletions(world)] == [second, first]
    assert await tapped(alice, question, "Refuse all") == "You have already answered this, so I did nothing more."


async def test_steps_of_one_turn_have_separate_buttons(world: World) -> None:
    alice = await connected(world, "Alice")
    gids = [task.gid for task in await tasks(world, alice)]
    steps: list[Turn] = [[ToolCall("ASANA_DELETE_TASK", {"task_gid": gid})] for gid in gids[:2]]
    world.emulators.openai.script([*steps, "Both of them?"])
    one = await world.ask(alice, "clean up")
    other = await alice.wait_for_message(timeout=20)
    assert (gids[0] in one.text, gids[1] in other.text) == (True, True)
    assert await tapped(alice, other, "Approve") == "Done."
    assert gids[1] not in [task.gid for task in await tasks(world, alice)]
    assert gids[0] in [task.gid for task in await tasks(world, alice)]


STRANGER = "mallory@evil.example"
LONG = "This is a long letter about nothing. " * 300


@pytest.mark.parametrize("said", ["Shall I send it?", "```\nto: bob@example.org", "x " * 600])
async def test_a_stranger_behind_a_long_letter_is_seen_before_the_button(world: World, said: str) -> None:
    alice = await with_gmail(world)
    letter = {"body": LONG, "subject": LONG[:1500], "recipient_email": STRANGER}
    world.emulators.openai.script([[ToolCall("GMAIL_SEND_EMAIL", letter)], said])
    told = [await world.ask(alice, "answer bob")]
    while not told[-1].choices:
        told.append(await alice.wait_for_message(timeout=20))
    *_, document, question = told
    assert document.file is not None
    assert f"recipient_email: {STRANGER}" in question.text
    assert question.text.index(STRANGER) < question.text.index("subject (1500 characters):")
    assert len(question.text) <= 1024
    kept = world.emulators.whatsapp.files.get(document.file.id)
    assert kept is not None
    data = kept.data.decode()
    assert all(value.strip() in data for value in letter.values())
    assert await tapped(alice, question, "Approve") == "Done."
    [mail] = made(world, "GMAIL_SEND_EMAIL")
    assert mail.detail["arguments"] == letter


async def test_a_call_that_cannot_be_shown_is_not_asked_for(world: World) -> None:
    alice = await with_gmail(world)
    crowd = [f"person{number}@example.org" for number in range(80)]
    letter = {"recipient_email": crowd[0], "subject": "x", "body": "y", "cc": crowd}
    world.emulators.openai.script([[ToolCall("GMAIL_SEND_EMAIL", letter)], "That is too many at once."])
    told = await world.ask(alice, "write to all")
    assert (told.text, told.choices) == ("That is too many at once.", [])
    assert not made(world, "GMAIL_SEND_EMAIL")


async def test_both_services_restart_between_question_and_button(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    await world.stop_gateway()
    await world.stop_kernel()
    await world.start_kernel()
    await world.start_gateway()
    assert await tapped(alice, question, "Approve") == "Done."
    assert len(deletions(world)) == 1


async def test_an_approved_call_of_a_removed_tool_is_reported(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    await disconnect(world, alice)
    assert "no such tool any more" in await tapped(alice, question, "Approve")
    assert deletions(world) == []


async def test_an_approval_is_for_the_account_that_was_there_when_it_was_asked_for(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await asked(world, alice)
    await disconnect(world, alice)
    await connect(world, alice)
    assert "not with the account" in await tapped(alice, question, "Approve")
    assert deletions(world) == []
    assert await tapped(alice, await asked(world, alice), "Approve") == "Done."


async def test_a_watching_caller_is_told_that_an_approval_is_needed(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_approve_tools="disconnect,ASANA_*,!ASANA_DELETE_*") as world:
        world.emulators.openai.script([ToolCall("disconnect", {"toolkit": "asana"}), "May I?"])
        events = await watched(world, "disconnect asana")
    [needed] = [event.approval_needed for event in events if event.WhichOneof("event") == "approval_needed"]
    [reply] = events[-1].completed.replies
    assert [(call.call_id, call.tool) for call in needed.calls] == [(needed.call_id, needed.tool)]
    assert (needed.tool, list(needed.choices)) == ("disconnect", list(reply.choices))
    assert 1790 < needed.expires_at.seconds - reply.created_at.seconds <= 1800


async def watched(world: World, text: str) -> list[Any]:
    request = messages_pb2.StreamMessageRequest(
        message=messages_pb2.HandleMessageRequest(
            user_id="telegram:42", message_id="m1", payload=messages_pb2.Payload(text=text)
        )
    )
    return [event async for event in world.stub.StreamMessage(request, metadata=bearer(TELEGRAM_TOKEN))]
