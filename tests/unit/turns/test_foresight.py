"""A plain turn whose message the kernel has in memory begins before its opening is committed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import LeaseLost
from kernel_service.ports.messages import Message, ReplyMode
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import AT_ONCE, Turn, TurnStatus
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from kernel_service.ports.turns import TurnMessage
    from tests.unit.turns.scene import Scene


async def write(scene: Scene, kernel: Kernel | None, text: str, number: int, **more: Any) -> TurnMessage:
    """A message that the kernel learns of, unless `kernel` is None."""
    message = Message("chat:1", f"m{number}", Payload(Text(text), **more), reply_mode=ReplyMode.INLINE)
    accepted = await scene.store.inbox.accept(message, now=scene.clock(), max_pending=10)
    scene.person_id, scene.seq = accepted.person_id, accepted.seq
    assert accepted.plain is not None
    if kernel is not None:
        assert kernel.foresight is not None
        kernel.foresight.arrived += (accepted.plain,)
    return accepted.plain


@pytest.fixture
async def kernel(scene: Scene) -> Kernel:
    """After its first turn."""
    await scene.hear("hello")
    kernel = await scene.activated()
    scene.model.says = [says("hello")]
    assert kernel.foresight is None
    assert await scene.run(kernel) is None
    scene.model.shown.clear()
    scene.model.asked.clear()
    return kernel


@pytest.fixture
def opened(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The turns that the store was asked for."""
    seen: list[str] = []
    ask = scene.store.turns.next_turn

    async def asked(*given: Any, **options: Any) -> Any:
        due = await ask(*given, **options)
        seen.append(due.id if isinstance(due, Turn) else str(due))
        return due

    monkeypatch.setattr(scene.store.turns, "next_turn", asked)
    return seen


async def statuses(scene: Scene) -> list[TurnStatus]:
    return [turn.status for turn in (await scene.store.admin.turns(scene.person_id, limit=9, before=""))[0]]


async def test_known_message_is_answered_without_a_question_to_the_store(
    scene: Scene, kernel: Kernel, opened: list[str]
) -> None:
    for number in (2, 3):
        await write(scene, kernel, f"number {number}", number)
        scene.model.says = [says(f"answer {number}")]
        assert await scene.run(kernel) is None
        assert await scene.told() == [f"answer {number}"]
    assert not opened
    assert await statuses(scene) == [TurnStatus.COMPLETED] * 3
    assert len(scene.model.shown[-1]) == 5


async def test_message_that_the_kernel_does_not_know_of_is_answered_too(scene: Scene, kernel: Kernel) -> None:
    """The opening finds more than it expects and keeps nothing, so the attempt has no effect."""
    await write(scene, None, "one", 2)
    await write(scene, kernel, "two", 3)
    scene.model.says = [calls("act")]
    assert await scene.run(kernel) == AT_ONCE
    assert scene.act.calls == 0
    scene.model.says = [says("to both")]
    assert await scene.run(kernel) is None
    assert [item["content"] for item in scene.model.shown[-1][-2:]] == ["one", "two"]
    assert await scene.told() == ["to both"]
    assert await statuses(scene) == [TurnStatus.COMPLETED] * 2


async def test_message_accepted_just_before_the_opening_joins_and_the_request_is_paid(
    scene: Scene, kernel: Kernel
) -> None:
    """The kernel learns of it later: the model is asked about the first message alone, and that costs tokens."""
    scene.limits = replace(scene.limits, daily_tokens_per_person=1_000_000)
    before = await scene.store.spending.spent_today(scene.person_id, now=scene.clock())
    await write(scene, kernel, "one", 2)
    await write(scene, None, "two", 3)
    scene.model.says = [says("to one"), says("to both")]
    assert await scene.run(kernel) == AT_ONCE
    assert await scene.run(kernel) is None
    assert [item["content"] for item in scene.model.shown[-1][-2:]] == ["one", "two"]
    assert await scene.told() == ["to both"]
    spent = await scene.store.spending.spent_today(scene.person_id, now=scene.clock())
    assert spent - before == 2 * (10 + 5)


async def test_opening_that_is_lost_lets_the_attempt_have_no_effect(
    scene: Scene, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(scene, kernel, "two", 2)
    scene.model.says = [says("from nowhere")]
    with monkeypatch.context() as patched:
        patched.setattr(scene.store.turns, "_open", lambda *_, **__: None)
        assert await scene.run(kernel) == AT_ONCE
    assert await scene.told() == []
    scene.model.says = [says("again")]
    assert await scene.run(kernel) is None
    assert await scene.told() == ["again"]


async def test_kernel_that_lost_its_lease_learns_it(scene: Scene, kernel: Kernel) -> None:
    await write(scene, kernel, "two", 2)
    other = await scene.store.kernels.activate(scene.person_id, owner="other")
    scene.model.says = [says("too late")]
    assert await scene.run(kernel) == AT_ONCE
    with pytest.raises(LeaseLost):
        await scene.run(kernel)
    turn = await scene.store.turns.next_turn(scene.person_id, other.epoch, now=scene.clock(), debounce=0)
    assert isinstance(turn, Turn)
    assert turn.crash_count == 0


async def test_message_during_the_model_call_joins(scene: Scene, kernel: Kernel) -> None:
    await write(scene, kernel, "one", 2)
    scene.model.gate = asyncio.Event()
    running = asyncio.create_task(scene.run(kernel))
    await scene.model.asked.wait()
    await write(scene, kernel, "two", 3)
    kernel.wake_turn()
    assert await running == AT_ONCE
    scene.model.gate, scene.model.says = None, [says("to both")]
    assert await scene.run(kernel) is None
    assert [item["content"] for item in scene.model.shown[-1][-2:]] == ["one", "two"]
    assert kernel.foresight is not None
    assert kernel.foresight.arrived == ()


async def test_message_after_the_last_look_is_next(
    scene: Scene, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted between the commit of the end and the moment when the kernel learns of the end."""
    await write(scene, kernel, "one", 2)
    end = scene.store.turns.end

    async def ended(*given: Any, **options: Any) -> Any:
        result = await end(*given, **options)
        await write(scene, kernel, "two", 3)
        return result

    scene.model.says = [says("to one"), says("to two")]
    with monkeypatch.context() as patched:
        patched.setattr(scene.store.turns, "end", ended)
        assert await scene.run(kernel) is None
    assert await scene.run(kernel) is None
    assert await scene.told() == ["to two"]


async def test_two_messages_and_a_late_one_and_an_early_wake_ask_the_store(
    scene: Scene, kernel: Kernel, opened: list[str]
) -> None:
    known = await write(scene, kernel, "one", 2)
    assert kernel.foresight is not None
    now = scene.clock()
    assert kernel.foresight.next_message(now, 0) == known
    assert kernel.foresight.next_message(now, 1.0) is None
    assert kernel.foresight.next_message(now + 1.0, 1.0) == known
    late = replace(kernel.foresight, arrived=(replace(known, sent_at=now - 60),))
    assert late.next_message(now, 0) is None
    await write(scene, kernel, "two", 3)
    scene.model.says = [says("to both")]
    assert await scene.run(kernel) is None
    assert len(opened) == 1


async def test_replies_of_the_day_are_counted_in_memory(scene: Scene, kernel: Kernel, opened: list[str]) -> None:
    scene.limits = replace(scene.limits, daily_replies_per_person=2)
    for number in (2, 3):
        await write(scene, kernel, "again", number)
        scene.model.says = [says("yes")]
        await scene.run(kernel)
    assert not opened
    assert await scene.told() == []
    scene.clock.now += 86_400
    await write(scene, kernel, "tomorrow", 4)
    scene.model.says = [says("good morning")]
    await scene.run(kernel)
    assert await scene.told() == ["good morning"]


async def test_command_leaves_the_next_turn_to_the_store(scene: Scene, kernel: Kernel) -> None:
    await scene.send(Text("new chat"), number=2)
    kernel.foresight = None
    await scene.run(kernel)
    assert kernel.foresight is None
