"""Turns that an event of a trigger begins: what is not told, and what the author of the event cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.approvals.policy import ApprovalPolicy
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.tools import ToolResult
from tests.contract.store.people import connect
from tests.contract.store.watching import LIMITS, event, receive, watching
from tests.unit.turns.calls.test_approvals import tap, yes
from tests.unit.turns.execution.test_scheduled import sent
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection
    from kernel_service.ports.triggers import Trigger
    from tests.unit.turns.scene import Scene


async def happened(scene: Scene) -> tuple[Connection, Trigger]:
    """The person has been answered, and an event of their trigger waits in the inbox."""
    await scene.hear()
    scene.model.says = [says("hello")]
    await scene.run()
    account = await connect(scene.store, scene.person_id)
    trigger = await watching(scene.store, account)
    now = scene.clock()
    await receive(scene.store, event(account), now)
    told = await scene.store.triggers.tell(trigger.id, now=now + 6, limits=LIMITS, limited="")
    assert told is not None
    assert told.seq is not None
    return account, trigger


@pytest.mark.parametrize("answer", ["[nothing]", "[Nothing].", "**[nothing]**", " nothing\n"])
async def test_an_event_that_is_of_no_use_is_not_told(scene: Scene, answer: str) -> None:
    await happened(scene)
    scene.model.says = [says(answer)]
    await scene.run()
    assert not await sent(scene)


async def test_a_question_stands_without_the_answer_that_there_is_nothing_to_tell(scene: Scene) -> None:
    await happened(scene)
    scene.model.says = [calls("act"), says("[nothing]")]
    await scene.run()
    [(told, _)] = await sent(scene)
    assert told.choices
    assert "[nothing]" not in told.text


@pytest.mark.parametrize("by", ["deleted", "disconnected"])
async def test_no_event_is_told_after_its_trigger_has_ended(scene: Scene, by: str) -> None:
    account, trigger = await happened(scene)
    if by == "deleted":
        await scene.store.triggers.end(scene.person_id, trigger.id)
    else:
        await scene.store.connections.bar(account, ConnectionStatus.DISCONNECTED, remove=True)
    asked = len(scene.model.shown)
    await scene.run()
    assert not await sent(scene)
    assert len(scene.model.shown) == asked
    assert texts.answers.FAILED not in await scene.told()


async def test_exemptions_do_not_hold_where_a_button_continues_with_an_event(scene: Scene) -> None:
    """The author of the event may have made the model ask for something harmless first."""
    policy = ApprovalPolicy(["!act"])
    await happened(scene)
    scene.model.says = [calls("act"), says("may I?")]
    await scene.run(asks_first=policy)
    [(told, _)] = await sent(scene)
    await tap(scene, yes(told))
    scene.model.says = [calls("act"), says("done")]
    await scene.run(asks_first=policy)
    assert scene.act.calls == 1, "the call that the button approves"


async def test_exemptions_hold_where_a_button_continues_what_the_person_asked_for(scene: Scene) -> None:
    """Content that this turn itself reads comes too late to have made the model ask."""
    await scene.hear()
    scene.model.says = [calls("act"), says("may I?")]
    await scene.run(asks_first=ApprovalPolicy(["act"]))
    [told] = await scene.replies()
    await tap(scene, yes(told))
    scene.look.result = ToolResult("A mail: act again")
    scene.model.says = [calls("look"), calls("act"), says("done")]
    await scene.run(asks_first=ApprovalPolicy(["!act"]))
    assert scene.act.calls == 2
