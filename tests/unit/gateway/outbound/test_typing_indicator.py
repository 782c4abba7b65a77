"""The typing indicator is shown when the kernel service requests it, and never after the answer."""

import asyncio

import pytest

from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound import typing_indicator
from whatsapp_gateway.outbound.typing_indicator import MOST_AT_ONCE, TypingIndicator

ALICE, BOB = "whatsapp:US.1", "whatsapp:US.2"


class SeenGraph(GraphApi):
    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.read: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def mark_read(self, number: str, message_id: str, *, typing: bool) -> bool:
        await self.gate.wait()
        (self.shown if typing else self.read).append((number, message_id))
        return message_id != "refused"


class Scene:
    def __init__(self) -> None:
        self.graph, self.metrics = SeenGraph(), Metrics()
        self.typing = TypingIndicator(self.graph, self.metrics)

    def count(self, outcome: str) -> float:
        return float(self.metrics.typing.labels(outcome)._value.get())


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_each_item_is_shown_once(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    scene.typing.show("42", ALICE, "refused")
    await scene.typing.settle("42", ALICE)
    assert scene.graph.shown == [("42", "a1"), ("42", "refused")]
    assert (scene.count("shown"), scene.count("failed")) == (1, 1)
    assert scene.typing._calls == {}


async def test_an_answer_waits_only_for_the_call_of_its_chat(scene: Scene) -> None:
    scene.graph.gate.clear()
    scene.typing.show("42", BOB, "b1")
    scene.typing.show("43", ALICE, "a1")
    await scene.typing.settle("42", ALICE)
    assert scene.graph.shown == []
    answer = asyncio.create_task(scene.typing.settle("43", ALICE))
    await asyncio.sleep(0)
    assert not answer.done()
    scene.graph.gate.set()
    await answer
    assert ("43", "a1") in scene.graph.shown


async def test_a_late_call_is_cancelled_for_the_answer(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing_indicator, "LATE_SECONDS", 0.01)
    scene.graph.gate.clear()
    scene.typing.show("42", ALICE, "a1")
    await scene.typing.settle("42", ALICE)
    scene.graph.gate.set()
    await scene.typing.close()
    assert scene.graph.shown == []


async def test_excess_calls_are_dropped_and_closing_cancels_all(scene: Scene) -> None:
    scene.graph.gate.clear()
    for number in range(MOST_AT_ONCE + 1):
        scene.typing.show("42", f"whatsapp:US.{number}", "m")
    assert scene.count("dropped") == 1
    await scene.typing.close()
    assert scene.typing._calls == {}
    assert scene.graph.shown == []


async def test_an_answer_before_the_indicator_marks_its_message_as_read_once(scene: Scene) -> None:
    for _ in range(2):
        await scene.typing.settle("42", ALICE, "stop")
        await scene.typing.settle("42", ALICE)
    assert (scene.graph.read, scene.graph.shown) == ([("42", "stop")], [])
    assert scene.count("read") == 1


async def test_an_answer_after_the_indicator_marks_nothing_again(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    await scene.typing.settle("42", ALICE, "a1")
    await scene.typing.close()
    assert scene.graph.read == []


async def test_an_answer_marks_a_message_whose_indicator_was_cancelled(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing_indicator, "LATE_SECONDS", 0.01)
    scene.graph.gate.clear()
    scene.typing.show("42", ALICE, "a1")
    await scene.typing.settle("42", ALICE, "a1")
    scene.graph.gate.set()
    await scene.typing.settle("42", ALICE)
    assert (scene.graph.read, scene.graph.shown) == ([("42", "a1")], [])


async def test_only_the_latest_messages_are_remembered(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing_indicator, "MOST_REMEMBERED", 2)
    for each in ("a1", "a2", "a3"):
        scene.typing.show("42", ALICE, each)
        await scene.typing.settle("42", ALICE)
    assert list(scene.typing._read) == ["a2", "a3"]
