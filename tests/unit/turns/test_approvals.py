"""Calls that wait for the person's button, against a real store: cut at each step, they are made once or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.approvals.approval import ASKED
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.kernels.commands import Command, Tap
from kernel_service.kernels.store import CallRecord, HistoryItem, TurnRecord
from kernel_service.messages import Message, ReplyMode, Usage
from kernel_service.turns.calls import GONE
from kernel_service.turns.limits import Limits
from kernel_service.turns.model import FunctionCall, ModelAnswer, ModelRejectedError
from kernel_service.turns.tools import OUTCOME_UNKNOWN, ToolResult, UnclearCallError
from tests.unit.turns.scene import Scene, calls, says

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.messages import Reply

ARGUMENTS = {"to": "bob", "text": "hello"}


def acts(call_id: str = "c1") -> ModelAnswer:
    item = {"type": "function_call", "call_id": call_id, "name": "act", "arguments": ARGUMENTS}
    return ModelAnswer([item], "", Usage(), [FunctionCall(call_id, "act", ARGUMENTS)])


async def replies(scene: Scene) -> list[Reply]:
    answer = await scene.store.answer_of(scene.person_id, scene.seq)
    return [stored.reply for stored in answer.replies]


async def asked(scene: Scene) -> Tap:
    """The button that approves."""
    scene.act.asks_first = True
    await scene.hear("write to bob")
    scene.model.says = [acts(), says("I ask you")]
    await scene.run()
    [reply] = await replies(scene)
    _, approval_id, _ = reply.choices[0].id.split(":")
    return Tap(approval_id, approved=True)


async def tap(scene: Scene, button: Tap, number: int = 2) -> None:
    content = {"choice": {"id": button.choice_id, "title": "Approve"}}
    message = Message("chat:1", f"m{number}", content, reply_mode=ReplyMode.INLINE)
    accepted = await scene.store.accept(message, now=scene.clock(), max_pending=10)
    assert accepted.command is Command.APPROVAL
    scene.seq = accepted.seq


async def opened(scene: Scene, kernel: Kernel) -> TurnRecord:
    turn = await scene.store.next_turn(scene.person_id, kernel.epoch, now=scene.clock(), debounce=0)
    assert isinstance(turn, TurnRecord)
    return turn


async def test_nothing_is_done_and_the_person_is_asked(scene: Scene) -> None:
    await asked(scene)
    assert scene.act.calls == 0
    [reply] = await replies(scene)
    assert reply.text == "I ask you\n\n**Act** – shall I do exactly this?\n\n```\nto: bob\ntext: hello\n```"
    assert [choice.title for choice in reply.choices] == ["Approve", "Refuse"]
    assert scene.model.shown[1][-1]["output"] == ASKED
    assert "approval" not in {item.get("type") for item in scene.model.shown[1]}


async def test_exactly_what_was_asked_is_done_and_the_model_goes_on(scene: Scene) -> None:
    button = await asked(scene)
    await tap(scene, button)
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert scene.act.given == [ARGUMENTS]
    assert await scene.told() == ["It is sent"]
    call, result = scene.model.shown[-1][-2:]
    assert (call["name"], call["arguments"], result["output"]) == ("act", ARGUMENTS, "act done")
    assert call["call_id"] == result["call_id"] != "c1"
    assert button.choice_id not in str(scene.model.shown)


async def test_what_an_approved_call_did_is_told_also_where_the_budget_is_spent(scene: Scene) -> None:
    button = await asked(scene)
    scene.limits = Limits(daily_tokens_per_person=1)
    await tap(scene, button)
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert scene.act.calls == 1
    assert await scene.told() == ["It is sent"]


async def test_the_model_is_told_of_a_refusal_when_the_person_writes_next(scene: Scene) -> None:
    button = await asked(scene)
    await tap(scene, Tap(button.approval_id, approved=False))
    await scene.run()
    assert await scene.told() == [texts.APPROVAL_REFUSED]
    history = [(item.kind, item.data["content"]) for item in (await scene.history())[-2:]]
    assert history == [("input", ""), ("output", texts.APPROVAL_REFUSED)]
    assert scene.act.calls == 0


async def test_an_approved_turn_that_was_cut_before_the_call_makes_it(scene: Scene) -> None:
    await tap(scene, button := await asked(scene))
    kernel = await scene.activated()
    await scene.store.decide(await opened(scene, kernel), kernel.epoch, button, at=scene.clock())
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert (scene.act.calls, await scene.told()) == (1, ["It is sent"])


async def test_a_call_that_was_cut_is_in_doubt_and_not_made_again(scene: Scene) -> None:
    await tap(scene, button := await asked(scene))
    kernel = await scene.activated()
    turn = await opened(scene, kernel)
    approval = (await scene.store.decide(turn, kernel.epoch, button, at=scene.clock())).approval
    assert approval is not None
    call = scene.model.call_item(approval.approved_call_id, approval.tool, approval.arguments)
    items = [HistoryItem("input", scene.model.user_item({})), HistoryItem("output", call, scene.model.origin)]
    intent = CallRecord(approval.approved_call_id, approval.tool, scene.clock())
    await scene.store.append(turn, kernel.epoch, items, usage=Usage(), started=intent, now=scene.clock())
    scene.clock.now += scene.act.timeout
    scene.model.says = [says("I look first")]
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[-1][-1]["output"] == OUTCOME_UNKNOWN


async def test_a_call_that_was_made_is_not_made_again_while_the_model_is_away(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    scene.model.says = [VendorUnavailable("model_unavailable", retry_after=1)]
    await scene.run()
    scene.clock.now += 60
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert (scene.act.calls, await scene.told()) == (1, ["It is sent"])


async def test_a_message_that_was_given_up_and_is_requeued_does_nothing_twice(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    scene.model.says = [ModelRejectedError("invalid_prompt") for _ in range(2)]  # nor without what was said before
    await scene.run()
    [letter], _ = await scene.store.dead_letters(scene.person_id, limit=9, before="")
    await scene.store.requeue(letter.id, now=scene.clock())
    await scene.run()
    assert scene.act.calls == 1
    assert (await scene.told())[-1] == texts.APPROVAL_WITHOUT_EFFECT["used"]


async def test_stop_comes_before_the_call(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    await scene.hear("stop", number=3)
    await scene.run()
    await scene.run()
    assert scene.act.calls == 0
    assert await scene.told() == [texts.STOPPED]


async def test_an_approval_is_for_one_call(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    scene.model.says = [acts("c2"), says("I ask again")]
    await scene.run()
    assert scene.act.calls == 1
    [reply] = await replies(scene)
    assert reply.choices


async def test_a_tool_that_is_gone(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    scene.act.schema = scene.look.schema
    scene.model.says = [says("It cannot be done")]
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[-1][-1]["output"] == GONE


@pytest.mark.parametrize("account", ["cn_private", "", UnclearCallError("which one?")])
async def test_an_approval_is_for_one_account(scene: Scene, account: str | UnclearCallError) -> None:
    """The one that the call would have used when the person was asked."""
    scene.act.account = "cn_work"
    button = await asked(scene)
    await tap(scene, button)
    scene.act.account = account
    scene.model.says = [says("It cannot be done")]
    await scene.run()
    assert scene.act.calls == 0
    assert scene.model.shown[-1][-1]["output"] == GONE


async def test_the_account_that_was_approved_is_used_also_by_a_turn_that_was_cut(scene: Scene) -> None:
    scene.act.account = "cn_work"
    await tap(scene, await asked(scene))
    scene.act.result = Busy("tools_busy", 5.0)
    await scene.run()
    scene.clock.now += 60
    scene.act.result = ToolResult("act done")
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert await scene.told() == ["It is sent"]


async def test_nobody_is_asked_for_a_call_of_which_it_is_unclear_with_which_account(scene: Scene) -> None:
    scene.act.asks_first = True
    scene.act.account = UnclearCallError("which one?")
    await scene.hear("write to bob")
    scene.model.says = [acts(), says("Which account?")]
    await scene.run()
    [reply] = await replies(scene)
    assert (reply.text, reply.choices) == ("Which account?", ())
    assert scene.model.shown[1][-1]["output"] == "which one?"


async def test_a_question_that_newcomers_overtook_approves_nothing(scene: Scene) -> None:
    scene.act.asks_first = True
    await scene.hear("write to bob")
    scene.model.says = [acts(), VendorUnavailable("model_unavailable", retry_after=1)]
    await scene.run()
    [item] = [item for item in await scene.history() if item.kind == "approval"]
    await scene.hear("no, to carol", number=2)
    scene.clock.now += 60
    scene.model.says = [says("To carol, then")]
    await scene.run()
    assert not (await replies(scene))[0].choices
    await tap(scene, Tap(str(item.data["id"]), approved=True), number=3)
    await scene.run()
    assert await scene.told() == [texts.APPROVAL_WITHOUT_EFFECT["unknown"]]


async def test_the_question_survives_a_cut_and_the_end_of_patience(scene: Scene) -> None:
    scene.act.asks_first = True
    await scene.hear()
    scene.model.says = [acts(), VendorUnavailable("model_unavailable", retry_after=1)]
    await scene.run()
    scene.clock.now += 60
    scene.limits = Limits(seconds=-1)
    await scene.run()
    [reply] = await replies(scene)
    assert reply.text.startswith(texts.TOO_LONG)
    await tap(scene, Tap(reply.choices[0].id.split(":")[1], approved=True))
    scene.limits = Limits()
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert scene.act.calls == 1


async def test_what_was_only_asked_is_not_confessed_as_called(scene: Scene) -> None:
    scene.act.asks_first = True
    await scene.hear()
    scene.model.says = [calls("look"), acts(), ModelRejectedError("invalid_prompt")]
    await scene.run()
    [item] = await scene.history()
    assert "called: look.)" in item.data["content"]


async def test_an_approved_call_that_finds_its_service_busy_waits_and_is_made(scene: Scene) -> None:
    await tap(scene, await asked(scene))
    scene.act.result = Busy("tools_busy", 5.0)
    await scene.run()
    scene.clock.now += 3600
    scene.act.result = ToolResult("act done")
    scene.model.says = [says("It is sent")]
    await scene.run()
    assert scene.act.given == [ARGUMENTS] * 2  # the first did nothing
    assert await scene.told() == ["It is sent"]
