"""The spending of a turn is counted, however its requests end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import texts
from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.ports.interruptions import Requeued
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer, ModelRejectedError, TranscriptionMissingError, UnusableAnswerError
from kernel_service.ports.payloads import Audio
from kernel_service.turns.limits import TurnLimits
from kernel_service.turns.spending import estimates
from kernel_service.turns.spending.estimates import OUTPUT_PER_SECOND, TYPICAL_OUTPUT_TOKENS
from tests.unit.turns.files.test_turn_files import receive
from tests.unit.turns.scene import says

if TYPE_CHECKING:
    from kernel_service.kernels.kernel import Kernel
    from tests.unit.turns.scene import Scene

LONG = "word " * 30_000
"""An estimated 50,000 tokens."""
AMPLE = TurnLimits(daily_tokens_per_person=10**9, daily_tokens=10**9)
NO_BUDGET = TurnLimits()


async def spent(scene: Scene) -> int:
    return await scene.store.spending.spent_today(scene.person_id, now=scene.clock())


async def asking(scene: Scene, number: int) -> tuple[Kernel, asyncio.Task[Any]]:
    """A turn whose request the model has received but does not answer."""
    await scene.hear(LONG, number=number)
    scene.model.asked.clear()
    scene.model.gate = asyncio.Event()
    kernel = await scene.activated()
    turn = asyncio.create_task(scene.run(kernel))
    await scene.model.asked.wait()
    return kernel, turn


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
async def test_each_stopped_request_is_counted(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    for number in range(15):
        kernel, turn = await asking(scene, 2 * number)
        await scene.hear("stop", number=2 * number + 1)
        kernel.wake_turn()
        await turn
        await scene.run(kernel)
    assert await spent(scene) >= 15 * 50_000


async def test_nothing_is_estimated_without_a_budget_where_the_vendor_tells_the_cost(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An estimate reads the whole conversation."""
    monkeypatch.setattr(estimates, "of_request", None)
    scene.model.says = [says("hello")]
    await scene.hear()
    await scene.run()
    assert (await scene.told(), await spent(scene)) == (["hello"], 15)


async def test_repeated_stops_reach_the_budget(scene: Scene) -> None:
    scene.limits = TurnLimits(daily_tokens_per_person=120_000)
    for number in range(3):
        kernel, turn = await asking(scene, 2 * number)
        await scene.hear("stop", number=2 * number + 1)
        kernel.wake_turn()
        await turn
        await scene.run(kernel)
    await scene.hear(LONG, number=99)
    await scene.run()
    assert len(scene.model.shown) == 3
    assert (await scene.told())[0].startswith("Today's limit is reached")


async def test_long_interrupted_request_counts_its_output(scene: Scene) -> None:
    scene.limits = AMPLE
    kernel, turn = await asking(scene, 1)
    before = await spent(scene)
    scene.clock.now += 60
    await scene.hear("stop", number=2)
    kernel.wake_turn()
    await turn
    assert await spent(scene) - before == 60 * OUTPUT_PER_SECOND


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
async def test_request_interrupted_by_a_message_is_counted(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    kernel, turn = await asking(scene, 1)
    await scene.hear("and this", number=2)
    kernel.wake_turn()
    await turn
    scene.model.gate, scene.model.says = None, [says("both")]
    await scene.run(kernel)
    assert await scene.told() == ["both"]
    assert await spent(scene) >= 50_000 + TYPICAL_OUTPUT_TOKENS + 15


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
async def test_request_interrupted_by_a_drain_is_counted(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    kernel, turn = await asking(scene, 1)
    kernel.leaving = True
    kernel.outdated = True
    kernel.wake_turn()
    with pytest.raises(Requeued):
        await turn
    assert await spent(scene) >= 50_000


async def test_request_without_a_later_write_is_counted(scene: Scene) -> None:
    """As after kill -9: the process neither settles nor releases."""
    scene.limits = AMPLE
    _, turn = await asking(scene, 1)
    assert await spent(scene) >= 50_000
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    scene.model.gate, scene.model.says = None, [says("now")]
    await scene.run()
    assert await scene.told() == ["now"]
    assert await spent(scene) >= 50_000 + 15


# --- the cost of a request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
@pytest.mark.parametrize(
    "nothing",
    [
        VendorUnavailable("model_busy", 1.0), VendorUnavailable("model_unavailable"), Busy("model_busy", 1.0),
        ModelRejectedError("invalid_value"), VendorUnavailable("model_unpaid"),
    ],
)  # fmt: skip
async def test_a_request_that_was_refused_costs_nothing(scene: Scene, nothing: Exception, limits: TurnLimits) -> None:
    scene.limits = limits
    await scene.hear(LONG)
    scene.model.says = [nothing]
    await scene.run()
    assert await spent(scene) == 0


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
async def test_a_request_without_an_answer_is_counted_each_time(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    await scene.hear(LONG)
    for tries in range(1, 4):
        scene.model.says = [VendorUnavailable("model_unavailable", unanswered=True)]
        await scene.run()
        assert await spent(scene) == pytest.approx(tries * (50_000 + TYPICAL_OUTPUT_TOKENS), rel=0.02)
        scene.clock.now += 100


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        (Usage(), 50_000 + TYPICAL_OUTPUT_TOKENS),
        (Usage(input_tokens=-7, output_tokens=-7), 50_000 + TYPICAL_OUTPUT_TOKENS),
        (Usage(input_tokens=10**12, output_tokens=5), 50_000),
        (Usage(input_tokens=44_000, output_tokens=10**12), 44_000 + TYPICAL_OUTPUT_TOKENS),
        (Usage(input_tokens=44_000), 44_000 + TYPICAL_OUTPUT_TOKENS),
        (Usage(input_tokens=44_000, output_tokens=800), 44_800),
        (Usage(44_000, 10**12, 800, 10**12), 44_800),
    ],
)
async def test_implausible_usage_is_replaced_by_the_estimate(scene: Scene, told: Usage, counted: int) -> None:
    scene.limits = AMPLE
    await scene.hear(LONG)
    scene.model.says = [ModelAnswer([{"type": "message", "content": "Hi"}], "Hi", told)]
    await scene.run()
    assert await spent(scene) == pytest.approx(counted, rel=0.02)
    [day] = await scene.store.spending.by_day(scene.person_id, first=0, last=10**6)
    assert day.usage.cached_input_tokens <= day.usage.input_tokens
    assert day.usage.reasoning_tokens <= day.usage.output_tokens


async def test_each_kind_of_retry_is_counted(scene: Scene) -> None:
    """A refusal is free. An unusable, an empty and the last answer cost their reported usage."""
    scene.limits = AMPLE
    blank = ModelAnswer([], "", Usage(input_tokens=100, output_tokens=10))
    await scene.hear()
    scene.model.says = [UnusableAnswerError(Usage(input_tokens=1_000, model_calls=1), "html")]
    await scene.run()
    scene.clock.now += 100
    scene.model.says = [blank, VendorUnavailable("model_busy")]
    await scene.run()
    scene.clock.now += 100
    scene.model.says = [blank, says("at last")]
    await scene.run()
    assert await scene.told() == ["at last"]
    assert await spent(scene) == 1_000 + 110 + 110 + 15


async def test_turn_waits_while_others_may_spend_the_rest(scene: Scene) -> None:
    scene.limits = TurnLimits(daily_tokens=60_000)
    _, turn = await asking(scene, 1)
    gate, scene.model.gate = scene.model.gate, None
    assert gate is not None
    await scene.hear(number=2, user="chat:2")
    other = await scene.activated()
    await scene.run(other)
    due = await scene.run(other)
    assert due == pytest.approx(scene.clock() + 1.0, abs=0.5)
    scene.model.says = [says("one"), says("two")]
    gate.set()
    await turn
    scene.clock.now += 2.0
    await scene.run(other)
    assert await scene.told() == ["two"]


async def test_a_message_that_the_budget_refuses_leaves_no_trace(scene: Scene) -> None:
    scene.limits = TurnLimits(daily_tokens_per_person=1)
    scene.model.says = [says("first")]
    await scene.hear("one", number=1)
    await scene.run()
    await scene.hear("two", number=2)
    await scene.run()
    assert (await scene.told())[0].startswith("Today's limit is reached")
    assert "two" not in str([item.data for item in await scene.history()])


# --- recordings -----------------------------------------------------------------------------------------------------

NOTE = b"OggS" + b"x" * 59_996
"""Thirty seconds."""


@pytest.mark.parametrize(
    ("hears", "counted"),
    [
        ([("Call Eve", Usage())], 31 * 20),
        ([("Call Eve", Usage(input_tokens=900, output_tokens=10))], 910),
        ([VendorUnavailable("transcription_unavailable", unanswered=True)], 31 * 20),
        ([VendorUnavailable("transcription_unavailable")], 0),
        ([TranscriptionMissingError("404")], 0),
        ([ModelRejectedError("invalid_value")], 0),
    ],
)
async def test_a_recording_counts_by_its_seconds(scene: Scene, hears: list[Any], counted: int) -> None:
    scene.limits = AMPLE
    scene.model.hears = hears
    scene.model.says = [says("done")]
    await receive(scene, Audio, NOTE, "audio/ogg")
    await scene.run()
    asked = 15 if len(scene.model.shown) else 0
    assert await spent(scene) == counted + asked


@pytest.mark.parametrize("limits", [AMPLE, NO_BUDGET])
async def test_a_recording_counts_also_when_it_is_stopped(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    await receive(scene, Audio, NOTE, "audio/ogg")
    scene.model.hear_gate = asyncio.Event()
    kernel = await scene.activated()
    turn = asyncio.create_task(scene.run(kernel))
    while not scene.model.heard:
        await asyncio.sleep(0)
    await scene.hear("stop", number=2)
    kernel.wake_turn()
    await turn
    assert await spent(scene) == 31 * 20


async def test_recordings_over_the_budget_are_not_transcribed(scene: Scene) -> None:
    scene.limits = TurnLimits(daily_tokens_per_person=1)
    scene.model.says = [says("first")]
    await scene.hear("one", number=7)
    await scene.run()
    await receive(scene, Audio, NOTE, "audio/ogg")
    await scene.run()
    assert scene.model.heard == []
    assert (await scene.told())[0].startswith(texts.limits.budget_spent(5)[:30])
