"""A long conversation with a server that does not compact it: a summary replaces it after a turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pytest

from emulators.openai.turns import Text, ToolCall
from kernel_service.errors import LeaseLost
from kernel_service.ports.messages import Usage
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import OUTSIDE, OWN, SUMMARY, HistoryItem
from kernel_service.turns.compaction_rule import CompactionRule
from kernel_service.turns.context.taint import is_tainted
from kernel_service.turns.execution import summarising
from kernel_service.turns.execution.summarising import HEADING
from tests.unit.turns.chat import Chat, chatting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.turns.scene import Scene

LONG = "word " * 500
REQUEST = summarising.REQUEST.partition("{")[0]


@pytest.fixture
async def chat(scene: Scene) -> AsyncIterator[Chat]:
    async with chatting(scene) as running:
        running.rule(CompactionRule(60_000, 5))
        running.emulators.openai.compaction = "refused"
        yield running


def summary_requests(chat: Chat) -> list[bytes]:
    """The requests for a summary."""
    return [body for body in chat.client.sent if orjson.dumps(REQUEST)[1:-1] in body]


async def nearly_due(chat: Chat) -> None:
    """A chat of four turns: a summary is due after the next one."""
    await chat.ask("my name is Ada")
    while chat.turns < 4:
        await chat.ask(LONG)
    assert not summary_requests(chat)


async def test_summary_replaces_the_conversation_after_a_turn(chat: Chat) -> None:
    await nearly_due(chat)
    await chat.ask(LONG)
    [asked] = summary_requests(chat)
    before = chat.client.sent[chat.client.sent.index(asked) - 1]
    shared = len(before) - len(b'],"max_output_tokens":25000}')
    assert asked[:shared] == before[:shared], "the vendor finds the conversation in its cache"
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert len(chat.last) == 2
    assert HEADING in str(chat.last[0]["content"][0]["text"])
    chat.restart()
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert len(chat.last) == 4
    assert len(summary_requests(chat)) == 1


async def test_summaries_in_another_script_are_as_short_as_wanted(chat: Chat) -> None:
    chat.rule(CompactionRule(3000, 0))
    await chat.ask("my name is Ada")
    while len(summary_requests(chat)) < 5:
        await chat.ask("слово " * 300)
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert summarising.LEFT_OUT not in str(chat.last[0])


async def test_summary_is_counted(chat: Chat) -> None:
    chat.scene.limits = replace(chat.scene.limits, daily_tokens_per_person=1_000_000)
    await nearly_due(chat)
    await chat.ask(LONG)
    told = [call.detail["status"] for call in chat.emulators.effects.all("model_call")]
    [day] = await chat.scene.store.spending.by_day(chat.scene.person_id, first=0, last=10**6)
    assert day.usage.model_calls == len(told) == 6
    assert await chat.scene.store.spending.spent_today(chat.scene.person_id, now=chat.scene.clock()) == day.usage.tokens


async def test_no_summary_beyond_the_budget(chat: Chat) -> None:
    await nearly_due(chat)
    [day] = await chat.scene.store.spending.by_day(chat.scene.person_id, first=0, last=10**6)
    chat.scene.limits = replace(chat.scene.limits, daily_tokens_per_person=day.usage.tokens + 10)
    assert "You said" in await chat.ask(LONG)
    assert not summary_requests(chat)


@pytest.mark.parametrize("own", [True, False])
async def test_summary_of_outside_words_taints(chat: Chat, *, own: bool) -> None:
    chat.scene.look.result = ToolResult("found", own=own)
    chat.emulators.openai.script([[ToolCall("look", {})], [Text("done")]])
    await chat.ask("look")
    await nearly_due(chat)
    assert chat.kernel
    chat.rule(CompactionRule(60_000, 6))
    await chat.ask(LONG)
    assert not is_tainted(chat.kernel.history.ended.outline)
    await chat.ask(LONG)
    assert (await chat.scene.history())[-1].kind == SUMMARY
    assert (await chat.scene.history())[-1].origin == (OWN if own else OUTSIDE)
    assert is_tainted(chat.kernel.history.ended.outline) is not own


@pytest.mark.parametrize("answer", [ToolCall("act", {}), Text("  "), Text("")])
async def test_answer_that_is_no_summary_changes_nothing(chat: Chat, answer: ToolCall | Text) -> None:
    await nearly_due(chat)
    chat.emulators.openai.script(["heard", answer])
    await chat.ask(LONG)
    assert len(summary_requests(chat)) == 1
    assert chat.scene.act.calls == 0
    await chat.ask("hello")
    assert len(chat.last) == 11, "the whole conversation"
    assert len(summary_requests(chat)) == 1, "the next one is tried when the context has grown"


async def test_refused_summary_changes_nothing(chat: Chat) -> None:
    await nearly_due(chat)
    chat.emulators.openai.fail(status=500, match=lambda call: REQUEST in str(call.body["input"][-1]))
    assert "You said" in await chat.ask(LONG)
    await chat.ask("hello")
    assert len(chat.last) == 11


@pytest.mark.parametrize("is_", ["unreadable", "rejected"])
async def test_vendor_whose_compactions_are_of_no_use_gets_a_summary(chat: Chat, is_: str) -> None:
    chat.emulators.openai.compaction = is_
    await nearly_due(chat)
    for number in range(12):
        assert "You said" in await chat.ask(f"{number} {LONG}")
    assert await chat.ask("what is my name") == "Your name is Ada.", "nothing is forgotten"
    assert HEADING.strip() in str(chat.last[0])
    assert 2 <= len(summary_requests(chat)) <= 4
    sent = len(chat.client.sent)
    for number in range(3):
        await chat.ask(f"hello {number}")
    assert len(chat.client.sent) - sent <= 4, "no request is refused any more"
    chat.restart()
    assert await chat.ask("what is my name") == "Your name is Ada."


async def test_vendor_that_fails_to_compact_holds_no_message_for_ever(chat: Chat) -> None:
    chat.emulators.openai.compaction = "failing"
    chat.scene.limits = replace(chat.scene.limits, holds=0)
    await nearly_due(chat)
    await chat.ask(LONG)
    for _ in range(2):
        assert await chat.ask("what is my name") == "Your name is Ada."
    assert HEADING.strip() in str(chat.last[0])


async def test_key_of_another_organisation_leaves_compaction_to_the_vendor(chat: Chat) -> None:
    chat.emulators.openai.compaction = "on"
    await nearly_due(chat)
    for _ in range(2):
        await chat.ask(LONG)
    chat.emulators.openai.change_organisation("other")
    for _ in range(7):
        await chat.ask(LONG)
    assert not summary_requests(chat)
    assert chat.kernel
    assert not chat.kernel.summarises
    assert await chat.ask("what is my name") == "Your name is Ada."


async def test_message_does_not_wait_for_a_summary(chat: Chat) -> None:
    await nearly_due(chat)
    hold = chat.emulators.openai.hold(lambda call: REQUEST in str(call.body["input"][-1]))
    asking = asyncio.create_task(chat.ask(LONG))
    await hold.reached.wait()
    assert chat.kernel
    chat.kernel.wake_turn()
    assert "You said" in await asking, "it ends although the vendor has not answered"
    hold.release()
    await chat.ask("hello")
    assert len(chat.last) == 11


async def test_summary_ends_with_its_process(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarising, "CHECK_SECONDS", 0.01)
    await nearly_due(chat)
    hold = chat.emulators.openai.hold(lambda call: REQUEST in str(call.body["input"][-1]))
    asking = asyncio.create_task(chat.ask(LONG))
    await hold.reached.wait()
    assert chat.kernel
    chat.kernel.leaving = True
    await asking
    hold.release()


async def test_process_that_dies_before_the_write_leaves_the_conversation_whole(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> bool:
        raise asyncio.CancelledError

    await nearly_due(chat)
    with monkeypatch.context() as patch:
        patch.setattr(type(chat.scene.store.context), "keep_summary", dies)
        with pytest.raises(asyncio.CancelledError):
            await chat.ask(LONG)
    chat.restart()
    assert await chat.ask("what is my name") == "Your name is Ada."
    assert len(chat.last) == 13, "the request for a summary follows the whole conversation"
    await chat.ask("hello")
    assert len(chat.last) == 2


async def test_summary_of_a_conversation_that_was_reset_is_not_kept(chat: Chat) -> None:
    await nearly_due(chat)
    hold = chat.emulators.openai.hold(lambda call: REQUEST in str(call.body["input"][-1]))
    asking = asyncio.create_task(chat.ask(LONG))
    await hold.reached.wait()
    await chat.scene.store.context.reset(chat.scene.person_id)
    hold.release()
    await asking
    chat.restart()
    await chat.ask("what is my name")
    assert "Ada" not in str(chat.last)


async def test_summary_of_a_lost_lease_is_not_kept(chat: Chat) -> None:
    await nearly_due(chat)
    assert chat.kernel
    epoch = chat.kernel.epoch
    await chat.scene.activated()
    keep = chat.scene.store.context.keep_summary
    with pytest.raises(LeaseLost):
        await keep(chat.scene.person_id, epoch, "t", HistoryItem(SUMMARY, {"a": 1}, OWN), usage=Usage(), now=1.0)
