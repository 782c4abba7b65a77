"""Typing items go to one stream that wants them while a turn works, at no cost to other streams."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.outbox import typing as module
from kernel_service.outbox.typing import MOST_USER_IDS, Typing, TypingStream
from kernel_service.ports.messages import Message
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.turns import Turn, TurnMessage
from kernel_service.ports.typing import TypingItem

if TYPE_CHECKING:
    from collections.abc import Iterator


class Store:
    """Knows one person, if it is available. `asked` counts the requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.ended: set[int] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def typing_item(self, seq: int) -> TypingItem | None:
        self.asked += 1
        await self.gate.wait()
        if self.away:
            raise StoreUnavailable
        return None if seq in self.ended else TypingItem("chat:p", "", f"m{seq}")


class Scene:
    def __init__(self) -> None:
        self.store = Store()
        self.typing = Typing(self.store, self.send)  # type: ignore[arg-type]
        self.woken = 0
        self.told: list[tuple[str, int]] = []
        self.others_show = False
        self.streams = ExitStack()

    def stream(self, channel: str = "chat", *addresses: str, interval: float = 60) -> TypingStream:
        stream = TypingStream(channel, addresses, interval, self.wake)
        self.streams.enter_context(self.typing.stream(stream))
        return stream

    def send(self, channel: str, address: str, seq: int) -> bool:
        self.told += [(channel, seq)] * self.others_show
        return self.others_show

    def wake(self) -> None:
        self.woken += 1

    def accept(self, seq: int = 1, user_id: str = "chat:1") -> None:
        self.typing.accepted(seq, Message(user_id, f"m{seq}", Payload(Text("hi"))))


@pytest.fixture
async def scene() -> Iterator[Scene]:  # type: ignore[misc]
    scene = Scene()
    yield scene
    scene.streams.close()


def turn(*seqs: int, channel: str = "chat", address: str = "") -> Turn:
    messages = [TurnMessage(seq, f"m{seq}", channel, address, Payload(Text("hi")), 0.0) for seq in seqs or (1,)]
    return Turn("t", "p", messages, begun=False)


def taken(stream: TypingStream) -> list[TypingItem]:
    items = []
    while item := stream.take():
        items.append(item)
    return items


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_item_is_sent_when_work_begins(scene: Scene) -> None:
    stream = scene.stream()
    scene.accept()
    assert taken(stream) == []
    scene.typing.begin(turn())
    assert taken(stream) == [TypingItem("chat:1", "", "m1")]
    assert (scene.woken, scene.store.asked) == (1, 0)


async def test_ids_of_a_deleted_person_are_kept_no_longer(scene: Scene) -> None:
    """The message waited, and gets no turn."""
    stream = scene.stream()
    scene.accept()
    scene.typing.person_deleted("p")
    scene.typing.begin(turn())
    assert taken(stream) == [], "the id is in the store alone"
    await settled()
    assert (taken(stream), scene.store.asked) == ([TypingItem("chat:p", "", "m1")], 1)


async def test_item_is_repeated_until_the_work_ends(scene: Scene) -> None:
    stream = scene.stream(interval=0.01)
    scene.accept()
    scene.typing.begin(turn())
    while scene.woken < 3:
        await asyncio.sleep(0.005)
    scene.typing.end(turn())
    assert taken(stream) == []
    woken = scene.woken
    await asyncio.sleep(0.03)
    assert scene.woken == woken


async def test_turns_that_end_before_the_first_repeat_share_one_timer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = scene.stream()
    loop, timers = asyncio.get_running_loop(), []
    call_at = loop.call_at

    def counted(*given: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(given)
        return call_at(*given, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    for seq in range(100):
        scene.accept(seq)
        scene.typing.begin(turn(seq))
        assert [item.message_id for item in taken(stream)] == [f"m{seq}"]
        scene.typing.end(turn(seq))
    assert (len(timers), scene.store.asked) == (1, 0)


async def test_items_of_streams_with_other_intervals_are_repeated_in_their_time(scene: Scene) -> None:
    slow = scene.stream("slow")
    quick = scene.stream("quick", interval=0.01)
    for seq, channel in ((1, "slow"), (2, "quick")):
        scene.accept(seq, f"{channel}:1")
        scene.typing.begin(turn(seq, channel=channel))
    items: list[TypingItem] = []
    while len(items) < 3:
        items += taken(quick)
        await asyncio.sleep(0.005)
    assert {item.message_id for item in items} == {"m2"}
    assert [item.message_id for item in taken(slow)] == ["m1"]


async def test_item_that_is_over_before_it_is_taken_is_dropped(scene: Scene) -> None:
    stream = scene.stream()
    scene.accept()
    scene.typing.begin(turn())
    scene.typing.end(turn())
    assert taken(stream) == []


async def test_item_names_the_last_of_several_messages(scene: Scene) -> None:
    stream = scene.stream()
    scene.accept(1)
    scene.accept(2)
    scene.typing.begin(turn(1, 2))
    assert [item.message_id for item in taken(stream)] == ["m2"]
    scene.typing.end(turn(1, 2))
    assert scene.typing._user_ids == {}


async def test_new_stream_gets_current_items(scene: Scene) -> None:
    scene.typing.begin(turn())
    stream = scene.stream()
    await settled()
    assert taken(stream) == [TypingItem("chat:p", "", "m1")]


async def test_a_turn_of_an_earlier_process_is_looked_up_once(scene: Scene) -> None:
    stream = scene.stream(interval=0.01)
    scene.typing.begin(turn())
    while scene.woken < 3:
        await asyncio.sleep(0.005)
    assert scene.store.asked == 1
    assert taken(stream)


async def test_late_or_failed_look_up_sends_nothing(scene: Scene) -> None:
    stream = scene.stream()
    scene.store.gate.clear()
    scene.typing.begin(turn())
    await settled()
    scene.typing.end(turn())
    scene.store.gate.set()
    await settled()
    scene.store.away = True
    scene.typing.begin(turn())
    await settled()
    assert taken(stream) == []


@pytest.mark.parametrize(("channel", "addresses"), [("other", ()), ("chat", ("another",))])
async def test_streams_of_other_channels_get_nothing(scene: Scene, channel: str, addresses: tuple[str, ...]) -> None:
    stream = scene.stream(channel, *addresses)
    scene.accept()
    scene.typing.begin(turn(address="mine"))
    await settled()
    assert taken(stream) == []


async def test_without_a_typing_stream_there_is_no_work(scene: Scene) -> None:
    scene.accept()
    scene.typing.begin(turn())
    await settled()
    (work,) = scene.typing._works.values()
    assert (scene.typing._timer, work.lookup, scene.typing._user_ids, scene.store.asked) == (None, None, {}, 0)
    scene.typing.end(turn())
    assert scene.typing._works == {}


async def test_two_streams_share_the_items(scene: Scene) -> None:
    streams = [scene.stream(), scene.stream()]
    for seq in range(4):
        scene.accept(seq)
        scene.typing.begin(turn(seq))
    assert [len(taken(stream)) for stream in streams] == [2, 2]


async def test_remaining_stream_continues_when_one_ends(scene: Scene) -> None:
    gone: Any = TypingStream("chat", (), 0.01, scene.wake)
    with scene.typing.stream(gone):
        scene.accept()
        scene.typing.begin(turn())
    stream = scene.stream(interval=0.01)
    while not (items := taken(stream)):
        await asyncio.sleep(0.005)
    assert items[0].message_id == "m1"


async def test_end_of_a_turn_that_never_began_is_harmless(scene: Scene) -> None:
    scene.typing.end(turn())


async def test_cache_for_messages_without_a_turn_is_bounded(scene: Scene) -> None:
    scene.stream()
    for seq in range(MOST_USER_IDS + 10):
        scene.accept(seq)
    assert len(scene.typing._user_ids) <= MOST_USER_IDS


async def test_other_nodes_are_notified_while_no_stream_is_here(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ELSEWHERE_SECONDS", 0.01)
    scene.others_show = True
    scene.typing.begin(turn())
    assert scene.told == [("chat", 1)]
    async with asyncio.timeout(5):
        while len(scene.told) < 3:
            await asyncio.sleep(0.005)
    scene.typing.end(turn())
    count = len(scene.told)
    scene.typing.begin(turn(2))
    scene.accept(2)
    stream = scene.stream()  # it comes to this node
    await settled()
    assert taken(stream) == [TypingItem("chat:p", "", "m2")]
    assert scene.told[count:] == [("chat", 2)]


async def test_a_message_of_another_node_is_shown_at_the_streams_interval(scene: Scene) -> None:
    stream = scene.stream(interval=0.02)
    await scene.typing.show("chat", 1)
    await scene.typing.show("chat", 1)
    assert taken(stream) == [TypingItem("chat:p", "", "m1")]
    async with asyncio.timeout(5):
        while not (again := taken(stream)):
            await scene.typing.show("chat", 1)
            await asyncio.sleep(0.005)
    assert again == [TypingItem("chat:p", "", "m1")]


@pytest.mark.parametrize("channel", ["chat", "other"])
async def test_an_ended_turn_of_another_node_and_another_channel_are_not_shown(scene: Scene, channel: str) -> None:
    stream = scene.stream(channel)
    scene.store.ended.add(1)
    await scene.typing.show("chat", 1)
    assert (taken(stream), scene.store.asked) == ([], int(channel == "chat"))


async def test_an_unavailable_store_shows_nothing(scene: Scene) -> None:
    stream = scene.stream()
    scene.store.away = True
    await scene.typing.show("chat", 1)
    assert taken(stream) == []
