"""Messages during a running turn, and the end of the process during a turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import texts
from kernel_service.errors import StoreUnavailable
from kernel_service.ports.interruptions import Requeued
from kernel_service.ports.messages import Link, MessageStatus
from kernel_service.ports.progress import ConnectNeeded, Merged, ToolFinished, ToolStarted
from kernel_service.ports.tools import ToolResult
from kernel_service.ports.turns import AT_ONCE, TurnStatus
from kernel_service.turns.journal import store_retries, turn_journal
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from tests.unit.turns.scene import Scene


async def statuses(scene: Scene) -> list[TurnStatus]:
    return sorted(turn.status for turn in (await scene.store.admin.turns(scene.person_id, limit=9, before=""))[0])


async def asked(scene: Scene) -> tuple[Kernel, asyncio.Task[float | None]]:
    """A turn whose model does not answer."""
    scene.model.gate = asyncio.Event()
    kernel = await scene.activated()
    turn = asyncio.create_task(scene.run(kernel))
    await scene.model.asked.wait()
    return kernel, turn


async def test_message_during_the_model_call_joins_the_turn(scene: Scene) -> None:
    await scene.hear("my name is Ann", number=1)
    kernel, turn = await asked(scene)
    await scene.hear("what is my name", number=2)
    kernel.wake_turn()
    assert await turn == AT_ONCE
    scene.model.gate, scene.model.says = None, [says("Ann")]
    await scene.run(kernel)
    assert await scene.told() == ["Ann"]
    assert [item["content"] for item in scene.model.shown[-1]] == ["my name is Ann", "what is my name"]
    assert await statuses(scene) == [TurnStatus.COMPLETED]


async def test_unrelated_wakeup_does_not_interrupt_the_model_call(scene: Scene) -> None:
    await scene.hear()
    kernel, turn = await asked(scene)
    scene.model.says = [says("done")]
    kernel.wake_turn()
    await asyncio.sleep(0)
    assert scene.model.gate is not None
    scene.model.gate.set()
    await turn
    assert len(scene.model.shown) == 1
    assert await scene.told() == ["done"]


async def test_answer_is_discarded_when_a_message_arrived_first(scene: Scene) -> None:
    """The model had answered already. The end of the turn finds the message, and the cost of the answer is counted."""
    await scene.hear(number=1)
    kernel, turn = await asked(scene)
    await scene.hear(number=2)
    scene.model.says = [says("to one"), says("to both")]
    assert scene.model.gate is not None
    scene.model.gate.set()
    await turn
    await scene.run(kernel)
    assert await scene.told() == ["to both"]
    assert await scene.store.spending.spent_today(scene.person_id, now=scene.clock()) == 30
    assert "to one" not in str([item.data for item in await scene.history()])


async def test_first_side_effect_closes_the_turn_and_reads_do_not(scene: Scene) -> None:
    await scene.hear(number=1)
    scene.look.gate = asyncio.Event()
    scene.model.says = [calls("look")]
    kernel = await scene.activated()
    turn = asyncio.create_task(scene.run(kernel))
    await scene.look.begun.wait()
    await scene.hear(number=2)
    kernel.wake_turn()
    await turn
    scene.act.gate = asyncio.Event()
    scene.model.says = [calls("act"), says("done for both"), says("and the third")]
    turn = asyncio.create_task(scene.run(kernel))
    await scene.act.begun.wait()
    await scene.hear(number=3)
    kernel.wake_turn()
    scene.act.gate.set()
    await turn
    await scene.run(kernel)
    assert scene.act.calls == 1
    assert await scene.told() == ["and the third"]


async def test_stop_interrupts_the_model_call(scene: Scene) -> None:
    await scene.hear("write a long story", number=1)
    story = scene.seq
    kernel, turn = await asked(scene)
    await scene.hear("stop", number=2)
    kernel.wake_turn()
    await turn
    await scene.run(kernel)
    assert (await scene.store.inbox.answer_of(scene.person_id, story)).status is MessageStatus.STOPPED
    assert await scene.told() == [texts.answers.STOPPED]
    assert await statuses(scene) == [TurnStatus.COMPLETED, TurnStatus.STOPPED]
    assert await scene.history() == []


async def test_stop_waits_for_the_running_side_effect(scene: Scene) -> None:
    await scene.hear(number=1)
    scene.act.gate = asyncio.Event()
    scene.model.says = [calls("act", "look")]
    kernel = await scene.activated()
    turn = asyncio.create_task(scene.run(kernel))
    await scene.act.begun.wait()
    await scene.hear("stop", number=2)
    kernel.wake_turn()
    scene.act.gate.set()
    await turn
    assert (scene.act.calls, scene.look.calls) == (1, 0)
    results = [item.data["output"] for item in await scene.history() if item.kind == "result"]
    assert results == ["act done", turn_journal.NOT_DONE]


async def test_drain_ends_the_turn_at_its_next_step(scene: Scene) -> None:
    await scene.hear()
    kernel, turn = await asked(scene)
    scene.model.says = [calls("act"), says("done")]
    kernel.leaving = True
    assert scene.model.gate is not None
    scene.model.gate.set()
    with pytest.raises(Requeued):
        await turn
    assert scene.act.calls == 0
    await scene.run()  # the next process
    assert scene.act.calls == 1
    assert await scene.told() == ["done"]


async def test_turn_cut_by_a_drain_counts_no_failure(scene: Scene) -> None:
    await scene.hear()
    _, turn = await asked(scene)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    activation = await scene.store.kernels.activate(scene.person_id, owner="next")
    again: Any = await scene.store.turns.next_turn(scene.person_id, activation.epoch, now=scene.clock(), debounce=0)
    assert (again.attempt_count, again.crash_count) == (0, 0)


async def test_side_effect_is_not_repeated_after_a_store_outage(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_retries, "PAUSE_SECONDS", 0)
    await scene.hear()
    kernel = await scene.activated()
    scene.model.says = [calls("act"), says("done")]
    append, away = scene.store.turns.append, iter([False, False, True, True, True])

    async def flaky(*arguments: Any, **more: Any) -> None:
        if next(away, False):
            raise StoreUnavailable
        await append(*arguments, **more)

    monkeypatch.setattr(scene.store.turns, "append", flaky)
    await scene.run(kernel)
    assert scene.act.calls == 1
    assert scene.model.shown[1][-1]["output"] == "act done"
    assert await scene.told() == ["done"]


async def test_watchers_receive_progress_events(scene: Scene) -> None:
    await scene.hear(number=1)
    link = Link("https://connect.example/lk", "Connect Asana")
    scene.look.result = ToolResult("a button", link=link)
    with scene.progress.watching(scene.seq) as watcher:
        await scene.hear(number=2)
        scene.model.says = [calls("look"), says("done")]
        await scene.run()
        watcher.end()
        seen = [event async for event in watcher.events()]
    turn = (await scene.store.admin.turns(scene.person_id, limit=1, before=""))[0][0]
    assert seen == [
        Merged(turn.id),
        ToolStarted("c_look", "look"),
        ConnectNeeded("", link),
        ToolFinished("c_look", succeeded=True),
    ]
