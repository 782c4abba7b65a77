"""One line of the log for each attempt of a turn: ids, durations, counts, the outcome, and no words."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable, VendorUnavailable
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelAnswer
from kernel_service.turns.execution.attempt_record import Waits
from kernel_service.turns.limits import TurnLimits
from serving.logs import JsonFormatter
from tests.unit.turns.scene import FakeTool, calls, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

WORDS = "ferns like shade"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [each for each in log.records if each.name == "kernel_service.turns"]
    return [json.loads(JsonFormatter().format(each)) for each in records]


async def test_a_turn_is_one_line_with_what_it_took(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    await scene.hear(WORDS)
    scene.look = FakeTool("look", read_only=True)
    answer = ModelAnswer(says(WORDS).items, WORDS, Usage(100, 60, 10, 4, 1))
    scene.model.says = [calls("look"), answer]
    scene.clock.now += 3
    await scene.run(node="k_1")
    [line] = lines(log)
    assert (line["outcome"], line["problem"], line["node"], line["attempt"]) == ("answered", "none", "k_1", 1)
    assert line["turn"].startswith("t_")
    assert line["person"].startswith("p_")
    assert line["message_numbers"] == "1"
    assert line["waited"] == pytest.approx(3)
    assert line["tool_calls"] == 1
    assert line["model_calls"] >= 1
    assert (line["cached_input_tokens"], line["output_tokens"]) == (60, 15)  # both answers
    assert 0 <= line["tool_seconds"] <= line["seconds"] < 60
    written = "".join(JsonFormatter().format(each) for each in log.records)
    assert WORDS not in written


async def outcomes(scene: Scene, log: pytest.LogCaptureFixture, **changes: Any) -> list[tuple[str, str]]:
    kernel, runner = await scene.activated(), scene.runner(**changes)
    for _ in range(3):
        if await runner.run_next(kernel) is None:
            break
    return [(line["outcome"], line["problem"]) for line in lines(log)]


async def test_an_attempt_that_waits_or_breaks_is_a_line(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    await scene.hear()
    kernel = await scene.activated()
    scene.model.says = [VendorUnavailable("model_busy", retry_after=7), RuntimeError(WORDS), says("done")]
    while (due := await scene.run(kernel)) is not None:
        scene.clock.now = max(due, scene.clock.now)
    told = [(line["outcome"], line["problem"], line["attempt"]) for line in lines(log)]
    assert told == [("held", "model_busy", 1), ("broke", "turn_broke", 1), ("answered", "none", 2)]


async def test_a_question_is_asks(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    await scene.hear()
    scene.act.asks_first = True
    scene.model.says = [calls("act"), says("May I?")]
    assert await outcomes(scene, log) == [("asks", "none")]


async def test_a_limit_is_refused(scene: Scene, log: pytest.LogCaptureFixture) -> None:
    scene.limits = TurnLimits(daily_tokens_per_person=1)
    await scene.hear()
    scene.model.says = [says("one")]
    await outcomes(scene, log)
    await scene.hear(number=2)
    assert await outcomes(scene, log) == [("answered", "none"), ("refused", "none")]


async def test_an_attempt_without_an_end_is_lost(
    scene: Scene, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.hear()
    kernel, runner = await scene.activated(), scene.runner()
    scene.model.says = [StoreUnavailable()]
    with pytest.raises(StoreUnavailable):
        await runner.run_next(kernel)
    assert [line["outcome"] for line in lines(log)] == ["lost"]


class Message:
    def __init__(self, accepted_at: float) -> None:
        self.accepted_at = accepted_at


class FirstAttempt:
    begun, attempt_count, holds = False, 0, 0

    def __init__(self, *accepted_at: float) -> None:
        self.messages = [Message(each) for each in accepted_at]


@pytest.mark.parametrize(
    ("accepted", "now", "queued", "expected"),
    [
        ((10,), 10.6, 0.0, (0.6, 0.6, 0.0)),
        ((10, 10.5), 11.2, 0.1, (1.2, 1.1, 0.1)),
        ((10,), 15.0, 4.0, (5.0, 0.6, 4.0)),
        ((10,), 9.0, 4.0, (0.0, 0.0, 0.0)),  # the clock was set back
    ],
)
def test_the_wait_is_split(
    accepted: tuple[float, ...], now: float, queued: float, expected: tuple[float, float, float]
) -> None:
    turn: Any = FirstAttempt(*accepted)
    waits = Waits.of(turn, now, queued=queued, debounce=0.6)
    assert (waits.waited, waits.gathered, waits.queued) == pytest.approx(expected)
