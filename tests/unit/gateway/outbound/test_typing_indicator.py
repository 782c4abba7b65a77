"""Typing is kept up until the answer leaves, and no longer."""

import asyncio
from collections.abc import Callable

import pytest

from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.typing_indicator import (
    LONGEST_SECONDS,
    MOST_AT_ONCE,
    MOST_WAITING,
    REFRESH_SECONDS,
    TypingIndicator,
)

ALICE, BOB = "whatsapp:US.1", "whatsapp:US.2"


class Timers:
    """A loop's call_later, whose time passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pending: list[tuple[float, Callable[[], None], asyncio.Event]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> "Timers.Handle":
        cancelled = asyncio.Event()
        self.pending.append((self.now + seconds, call, cancelled))
        return Timers.Handle(cancelled)

    def pass_seconds(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [each for each in self.pending if each[0] <= end and not each[2].is_set()]:
            first = min(due, key=lambda each: each[0])
            self.pending.remove(first)
            self.now = first[0]
            first[1]()
        self.now = end

    class Handle:
        def __init__(self, cancelled: asyncio.Event) -> None:
            self._cancelled = cancelled

        def cancel(self) -> None:
            self._cancelled.set()


class SeenGraph(GraphApi):
    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def show_typing(self, number: str, message_id: str) -> bool:
        await self.gate.wait()
        self.shown.append((number, message_id))
        return True


class Scene:
    def __init__(self) -> None:
        self.graph, self.timers, self.metrics = SeenGraph(), Timers(), Metrics()
        self.typing = TypingIndicator(self.graph, self.metrics, self.timers.later)

    async def after(self, seconds: float = 0) -> list[str]:
        """The messages marked, once so much time has passed and the calls are done."""
        self.timers.pass_seconds(seconds)
        await asyncio.gather(*self.typing._tasks)
        seen, self.graph.shown = [message for _, message in self.graph.shown], []
        return seen


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_it_is_refreshed_until_the_answer_leaves(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    assert await scene.after() == ["a1"]
    assert await scene.after(2 * REFRESH_SECONDS) == ["a1", "a1"]
    scene.typing.answered("42", ALICE, "a1")
    assert await scene.after(100) == []


async def test_a_later_message_that_waits_keeps_it_up(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    scene.typing.show("42", ALICE, "a2")
    scene.typing.answered("42", ALICE, "a1")
    assert await scene.after(REFRESH_SECONDS) == ["a1", "a2", "a2"]
    scene.typing.answered("42", ALICE, "a2")
    assert await scene.after(100) == []


async def test_an_answer_to_several_messages_ends_all_of_them(scene: Scene) -> None:
    for message in ("a1", "a2", "a3"):
        scene.typing.show("42", ALICE, message)
    scene.typing.answered("42", ALICE, "a3")
    assert await scene.after(100) == ["a1", "a2", "a3"]


async def test_one_person_s_answer_ends_nobody_else_s(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "m")
    scene.typing.show("42", BOB, "m")
    scene.typing.show("43", ALICE, "m")
    scene.typing.answered("42", ALICE, "m")
    scene.typing.answered("42", BOB, "")
    await scene.after()
    scene.timers.pass_seconds(REFRESH_SECONDS)
    await asyncio.gather(*scene.typing._tasks)
    assert sorted(number for number, _ in scene.graph.shown) == ["42", "43"]


async def test_it_ends_by_itself_where_no_answer_is_seen(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    assert len(await scene.after(1000)) == LONGEST_SECONDS / REFRESH_SECONDS
    assert scene.typing._chats == {}


async def test_what_the_kernel_asks_for_counts_from_then(scene: Scene) -> None:
    scene.typing.show("42", ALICE, "a1")
    await scene.after(LONGEST_SECONDS - 1)
    scene.typing.show("42", ALICE, "a1")
    assert len(await scene.after(1000)) == LONGEST_SECONDS / REFRESH_SECONDS


async def test_little_is_kept_of_somebody_who_never_stops(scene: Scene) -> None:
    for number in range(1000):
        scene.typing.show("42", ALICE, f"a{number}")
    (chat,) = scene.typing._chats.values()
    assert len(chat.waiting) == MOST_WAITING
    await scene.typing.close()


async def test_too_many_at_once_are_dropped_and_the_end_drops_all(scene: Scene) -> None:
    scene.graph.gate.clear()
    for number in range(MOST_AT_ONCE + 1):
        scene.typing.show("42", f"whatsapp:US.{number}", "m")
    assert scene.metrics.typing.labels("dropped")._value.get() == 1
    await scene.typing.close()
    assert scene.typing._tasks == set()
    scene.timers.pass_seconds(100)
    assert scene.typing._tasks == set()
