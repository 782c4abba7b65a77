"""A turn against a real store: what is journaled when, and what happens after an interruption at each point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernel_service import texts
from kernel_service.errors import LeaseLost, NotFound, VendorUnavailable
from kernel_service.ports.messages import Link, Usage
from kernel_service.ports.model import FunctionCall, ModelAnswer, ModelRejectedError, UserInput
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.ports.tools import OUTCOME_UNKNOWN, ToolResult
from kernel_service.ports.turns import CallRecord, HistoryItem, Turn
from kernel_service.storage.usage.sql_spending import SqlSpending
from kernel_service.token_counts import tokens
from kernel_service.turns.calls.tool_calls import MOST_OUTPUT_TOKENS, NOT_MADE
from kernel_service.turns.counters import TurnCounters
from kernel_service.turns.limits import TurnLimits
from tests.contract.store.outbox import pull
from tests.unit.turns.scene import FakeTool, Scene, calls, says


async def test_model_and_tools_alternate_until_an_answer(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [calls("look", "act"), says("both done")]
    await scene.run()
    assert await scene.told() == ["both done"]
    assert (scene.look.calls, scene.act.calls) == (1, 1)
    assert [item.kind for item in await scene.history()] == ["input", "output", "output", "result", "result", "output"]
    assert [item.get("output") for item in scene.model.shown[1][-2:]] == ["look done", "act done"]
    assert len(scene.ended) == 1


async def cut(scene: Scene, *, started: bool, name: str) -> None:
    """Leave the turn in the state after a crash that follows the write of the model's call."""
    kernel = await scene.activated()
    turn = await scene.store.turns.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    assert isinstance(turn, Turn)
    items = [
        HistoryItem("input", scene.model.user_item(UserInput(Payload(Text("do it")))), "own"),
        HistoryItem("output", calls(name).items[0], "test:1"),
    ]
    intent = CallRecord(f"c_{name}", name, scene.clock()) if started else None
    await scene.store.turns.append(turn, kernel.epoch, items, usage=Usage(), started=intent, now=scene.clock())


async def test_call_in_doubt_is_not_repeated(scene: Scene) -> None:
    await scene.hear()
    await cut(scene, started=True, name="act")
    scene.model.says = [says("I looked")]
    await scene.run()
    assert scene.model.shown == []  # the call of a dead process may still be in progress
    assert await scene.run() == scene.clock() + scene.act.timeout
    scene.clock.now += scene.act.timeout
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[0][-1]["output"] == OUTCOME_UNKNOWN
    assert await scene.told() == ["I looked"]


async def test_calls_after_an_unknown_outcome_wait_for_a_check(scene: Scene) -> None:
    await scene.hear()
    answer = calls("act", "look", "act")
    for number, item in enumerate(answer.items):
        item["call_id"] = f"c{number}"
        answer.calls[number] = FunctionCall(f"c{number}", item["name"], {})
    scene.act.result = RuntimeError("the line broke")
    scene.model.says = [answer, says("I look first")]
    await scene.run()
    assert (scene.act.calls, scene.look.calls) == (1, 1)
    assert [item["output"] for item in scene.model.shown[1][-3:]] == [OUTCOME_UNKNOWN, "look done", NOT_MADE]


async def test_calls_still_wait_for_the_check_after_another_interruption(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    turn = await scene.store.turns.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    assert isinstance(turn, Turn)
    said = [{"type": "function_call", "call_id": f"c{number}", "name": "act"} for number in range(2)]
    items = [
        HistoryItem("input", scene.model.user_item(UserInput(Payload(Text("do it"))))),
        *(HistoryItem("output", item, "test:1") for item in said),
        HistoryItem("result", scene.model.result_item("c0", OUTCOME_UNKNOWN)),
    ]
    await scene.store.turns.append(turn, kernel.epoch, items, usage=Usage(), now=scene.clock())
    scene.model.says = [says("I look first")]
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[0][-1]["output"] == NOT_MADE


@pytest.mark.parametrize("name", ["look", "act"])
async def test_call_without_an_intent_is_made_once(scene: Scene, name: str) -> None:
    await scene.hear()
    await cut(scene, started=False, name=name)
    scene.model.says = [says("done")]
    await scene.run()
    assert scene.look.calls + scene.act.calls == 1
    assert await scene.told() == ["done"]


async def test_link_button_survives_an_interruption(scene: Scene) -> None:
    await scene.hear()
    link = Link("https://connect.example/lk", "Connect Asana", 1_800_000_600.0)
    scene.look.result = ToolResult("the person gets a button", link=link)
    scene.model.says = [calls("look"), VendorUnavailable("model_unavailable", retry_after=5)]
    await scene.run()
    scene.clock.now += 60
    scene.model.says = [says("tap the button")]
    await scene.run()
    answer = await scene.store.inbox.answer_of(scene.person_id, scene.seq)
    assert [stored.reply.link for stored in answer.replies] == [link]
    assert scene.look.calls == 1
    assert "connect.example" not in str(scene.model.shown)


async def test_unavailable_vendor_holds_the_turn_without_an_attempt(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    for hold in range(10):
        scene.model.says = [VendorUnavailable("model_busy", retry_after=7)]
        await scene.run(kernel)
        due = await scene.run(kernel)  # held: returns the time, without a request
        assert due is not None
        assert due >= scene.clock() + 7
        assert len(scene.model.shown) == hold + 1
        scene.clock.now = due
    scene.model.says = [says("at last")]
    await scene.run(kernel)
    assert await scene.told() == ["at last"]
    lease = await pull(scene.store, channel="chat", limit=10, seconds=60, now=scene.clock())
    assert [each.reply.reply.text for each in lease] == [texts.limits.STILL_TRYING]


async def test_final_refusal_is_reported_and_leaves_no_trace(scene: Scene) -> None:
    await scene.hear("poison")
    scene.model.says = [ModelRejectedError("invalid_prompt")]
    kernel = await scene.activated()
    await scene.run(kernel)
    assert await scene.told() == [texts.answers.FAILED]
    assert await scene.history() == []


async def test_failed_turn_with_side_effects_keeps_only_a_note_of_them(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [calls("look", "act"), ModelRejectedError("invalid_prompt")]
    kernel = await scene.activated()
    await scene.run(kernel)
    assert await scene.told() == [texts.answers.FAILED]
    kept = await scene.history()
    assert [item.data["role"] for item in kept] == ["assistant"]
    assert "look, act" in kept[0].data["content"]
    assert [item.data for item in kernel.history.ended.items()] == [kept[0].data]


async def test_failing_merged_turn_is_split(scene: Scene) -> None:
    await scene.hear("fine", number=1)
    first = scene.seq
    await scene.hear("poison", number=2)
    refused = ModelRejectedError("invalid_prompt")
    scene.model.says = [refused, says("fine!"), refused, refused]  # the last one without the history
    kernel = await scene.activated()
    for _ in range(3):
        await scene.run(kernel)
    answer = await scene.store.inbox.answer_of(scene.person_id, first)
    assert [stored.reply.text for stored in answer.replies] == ["fine!"]
    assert await scene.told() == [texts.answers.FAILED]
    letters, _ = await scene.store.admin.dead_letters(scene.person_id, limit=9, before="")
    assert [letter.seq for letter in letters] == [scene.seq]


async def test_turn_ends_at_its_step_limit(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [calls("look") for _ in range(scene.limits.steps)]
    for number, answer in enumerate(scene.model.says):
        assert isinstance(answer, ModelAnswer)
        answer.items[0]["call_id"] = f"c{number}"
        answer.calls[0] = FunctionCall(f"c{number}", "look", {})
    await scene.run()
    assert await scene.told() == [texts.answers.TOO_MANY_STEPS]


async def test_turn_ends_at_its_time_limit(scene: Scene) -> None:
    await scene.hear()
    scene.limits = TurnLimits(seconds=-1)
    await scene.run()
    assert await scene.told() == [texts.answers.TOO_LONG]


@pytest.mark.parametrize(
    ("tool", "output"),
    [
        (FakeTool("look", read_only=True, result=RuntimeError("secret")), "The tool failed."),
        (FakeTool("look", read_only=False, result=RuntimeError("secret")), OUTCOME_UNKNOWN),
        (FakeTool("look", read_only=False, result=VendorUnavailable("tools_busy")), "Nothing was done."),
    ],
)
async def test_tool_exception_text_is_not_shown_to_the_model(scene: Scene, tool: FakeTool, output: str) -> None:
    await scene.hear()
    scene.look = tool
    scene.model.says = [calls("look"), says("sorry")]
    await scene.run()
    assert output in scene.model.shown[1][-1]["output"]
    assert "secret" not in str(scene.model.shown)


async def test_call_of_a_person_who_was_deleted_meanwhile_ends_the_attempt_and_is_no_fault(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.hear()
    scene.look = FakeTool("look", read_only=False, result=NotFound("PERSON_NOT_FOUND", "no such person"))
    scene.model.says = [calls("look"), says("sorry")]
    with pytest.raises(LeaseLost):
        await scene.run()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("crossing", "outcomes", "told"),
    [("and this", ["joined", "completed"], True), ("stop", ["stopped", "completed"], False)],
)
async def test_message_that_crosses_the_budget_reply_joins_or_stops_the_turn(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, crossing: str, outcomes: list[str], *, told: bool
) -> None:
    """It arrives after the turn's last check for interrupts, and before the store closes the turn."""
    requests: list[str] = []

    async def reserve(_store: object, person_id: str, *_: object, **__: object) -> str:
        requests.append(person_id)
        if len(requests) == 1:
            await scene.hear(crossing, number=2)
        raise BudgetSpentError

    monkeypatch.setattr(SqlSpending, "reserve", reserve)
    scene.limits, counters = TurnLimits(daily_tokens_per_person=1), TurnCounters()
    await scene.hear()
    kernel, runner = await scene.activated(), scene.runner(counters=counters)
    while await runner.run_next(kernel) is not None:
        pass
    assert list(counters.outcomes.elements()) == outcomes
    replies = await scene.told()
    assert len(replies) == 1
    assert replies[0].startswith("Today's limit is reached") is told
    assert (scene.model.shown, await scene.history()) == ([], [])


async def test_answers_that_are_empty_cut_or_refused(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [ModelAnswer([], "", Usage(), refusal="no")]
    await scene.run()
    assert await scene.told() == [texts.answers.REFUSED]
    await scene.hear(number=2)
    scene.model.says = [ModelAnswer([], "half an", Usage(), cut=True)]
    await scene.run()
    assert await scene.told() == [f"half an\n\n{texts.answers.CUT}"]
    await scene.hear(number=3)
    scene.model.says = [ModelAnswer([], " ", Usage()), ModelAnswer([], " ", Usage())]
    await scene.run()
    assert await scene.told() == [texts.answers.NO_ANSWER]


THOUGHT = {"type": "reasoning", "id": "rs_1"}


def thoughtful(answer: ModelAnswer) -> ModelAnswer:
    """The answer after reasoning, with ids that refer to it."""
    return replace(answer, items=[THOUGHT, *(item | {"id": "it_1"} for item in answer.items)])


async def test_items_that_a_turn_has_shown_are_shown_again(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    scene.model.says = [thoughtful(calls("look")), thoughtful(says("one")), says("two")]
    await scene.run(kernel)
    await scene.hear(number=2)
    await scene.run(kernel)
    first, within, second = scene.model.shown
    assert within[len(first) :][:2] == thoughtful(calls("look")).items
    assert second[: len(within)] == within
    assert str(second).count("rs_1") == 1, "no request has shown the reasoning before the last answer"
    assert str(second).count("it_1") == 1, "the vendor looks up the reasoning of an id"


async def test_reasoning_of_another_model_is_not_shown(scene: Scene) -> None:
    await scene.hear()
    scene.model.says = [thoughtful(calls("look")), VendorUnavailable("model_unavailable")]
    kernel = await scene.activated()
    await scene.run(kernel)
    assert THOUGHT in scene.model.shown[-1]
    scene.clock.now += 60
    scene.model.origin = "test:2"
    scene.model.says = [says("three")]
    await scene.run(kernel)
    assert await scene.told() == ["three"]
    assert "rs_1" not in str(scene.model.shown[-1])
    assert "it_1" not in str(scene.model.shown[-1])


async def test_repeatedly_failing_message_is_given_up(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    for attempt in range(scene.limits.attempts):
        scene.model.says = [RuntimeError("a bug")]
        await scene.run(kernel)
        assert len(scene.model.shown) == attempt + 1
        due = await scene.run(kernel)
        assert due is not None
        assert due > scene.clock()  # the delay grows: never a hot loop
        scene.clock.now = due
    await scene.run(kernel)
    assert await scene.told() == [texts.answers.FAILED]
    await scene.hear(number=2)
    scene.model.says = [says("and on")]
    await scene.run(kernel)
    assert await scene.told() == ["and on"]


@pytest.mark.parametrize("letter", ["x", "é", "語", "ก", "😀", "\ud83d"])
async def test_long_results_are_truncated_in_any_script(scene: Scene, letter: str) -> None:
    await scene.hear()
    scene.look.result = ToolResult(f"BEGINNING{letter * 400_000}END")
    scene.model.says = [calls("look"), says("It was long.")]
    await scene.run()
    (result,) = [item.data["output"] for item in await scene.history() if item.kind == "result"]
    assert result.startswith("BEGINNING")
    assert result.endswith("END")
    assert "characters left out" in result
    assert tokens(result) <= MOST_OUTPUT_TOKENS + 100
