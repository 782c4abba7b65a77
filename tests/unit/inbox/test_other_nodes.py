"""Messages that this node accepts and another node answers: one store, several inboxes."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import Unavailable
from kernel_service.inbox.inbox import LINK_SECONDS, Durable, Inbox
from kernel_service.inbox.waiters import MESSAGES_PER_NOTICE, Waiters
from kernel_service.ports.approvals import Approval, ApprovalPrompt
from kernel_service.ports.messages import Answer, Link, Message, MessageStatus, Reply, ReplyMode, Usage
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.progress import ApprovalNeeded, ConnectNeeded, Progress
from kernel_service.ports.turns import TurnStatus
from tests.clock import Clock
from tests.contract.store.owner import own
from tests.contract.store.people import unfollowed
from tests.migrated_sqlite import open_migrated
from tests.node_view import View, node
from tests.notice_air import NoticeAir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from kernel_service.storage.store import Store

_numbers = count()


class NoKernels:
    """The kernels and the placement of a node that runs no person."""

    def arrived(self, *_: Any) -> None: ...

    def wake_at(self, *_: Any, owner: str = "") -> None: ...

    def home_of(self, _: str) -> str:
        return "owner"


class NoTyping:
    def accepted(self, *_: Any) -> None: ...

    def begin(self, *_: Any) -> None: ...

    def end(self, *_: Any) -> None: ...


class Here:
    """A node: its inbox, its waiters and its view of the others."""

    def __init__(self, store: Store, clock: Clock, air: NoticeAir, name: str, *others: str) -> None:
        self.cluster = View.of(node(name), *map(node, others))
        self.waiters = Waiters(air.board(name), self.cluster)
        self.progress = Progress()
        kernels: Any = NoKernels()
        placement: Any = kernels
        self.inbox = Inbox(
            store.inbox,
            store.chats,
            kernels,
            placement,
            self.waiters,
            self.progress,
            allowed=lambda _: True,
            debounce=0.0,
            max_pending=100,
            clock=clock,
            media_wanted=lambda _: None,
            typing=NoTyping(),
        )


@dataclass
class Scene:
    store: Store
    clock: Clock = field(default_factory=Clock)
    air: NoticeAir = field(default_factory=NoticeAir)

    def __post_init__(self) -> None:
        self.here = Here(self.store, self.clock, self.air, "here", "owner")
        self.owner = Here(self.store, self.clock, self.air, "owner", "here")

    def message(self, mode: ReplyMode = ReplyMode.INLINE, link: str = "") -> Message:
        text = Payload(Text("hello"))
        return Message("test:ann", f"m{next(_numbers)}", text, address="desk", reply_mode=mode, chat_link=link)

    async def calling(self, message: Message | None = None) -> asyncio.Task[Answer]:
        """A caller here, who waits for the answer."""
        call = asyncio.create_task(self.here.inbox.handle(message or self.message()))
        while not self.here.waiters.may_end_elsewhere and not call.done():
            await asyncio.sleep(0)
        return call

    async def answer(self) -> None:
        """The owner answers all that waits, and tells of it."""
        person_id = await self.store.people.person_of("test:ann", now=self.clock())
        assert person_id is not None
        owner = await own(self.store, person_id, "owner")
        turn = await owner.open(self.clock() + 1)
        await owner.end(turn, now=self.clock() + 1)
        self.owner.waiters.turn_ended(turn)

    async def asks(self, connection_id: str) -> None:
        """The owner answers that an account and an approval of two calls are needed."""
        person_id = await self.store.people.person_of("test:ann", now=self.clock())
        assert person_id is not None
        now, url = self.clock() + 1, f"https://link/{connection_id}"
        attempt = unfollowed(connection_id, "asana", person_id)
        attempt = replace(attempt, connection=replace(attempt.connection, link=url))
        assert await self.store.connect_attempts.add(attempt, now=now)
        calls = tuple(Approval(f"ap_{number}", f"c{number}", "SEND", {}, now + 60) for number in (1, 2))
        owner = await own(self.store, person_id, "owner")
        turn = await owner.open(now)
        asked = Reply("connect it", Link(url, "Connect Asana", 9.0))
        await self.store.turns.end(
            turn, owner.epoch, [], [asked],
            status=TurnStatus.COMPLETED, usage=Usage(), prompts=(ApprovalPrompt(calls, ""),), now=now,
        )  # fmt: skip
        self.owner.waiters.turn_ended(turn)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    store = await open_migrated(tmp_path)
    yield Scene(store)
    await store.close()


async def test_an_inline_caller_gets_the_answer_of_another_node(scene: Scene) -> None:
    call = await scene.calling()
    await scene.answer()
    answer = await call
    assert (answer.status, [one.reply.text for one in answer.replies]) == (MessageStatus.COMPLETED, ["done"])


async def test_after_a_lost_notice_a_check_delivers_the_answer(scene: Scene) -> None:
    scene.air.is_lossy = True
    call = await scene.calling()
    await scene.here.inbox.check_waiting()
    await scene.answer()
    assert not call.done()
    await scene.here.inbox.check_waiting()
    assert (await call).status is MessageStatus.COMPLETED


async def test_after_an_interruption_of_the_notices_the_caller_checks_at_once(scene: Scene) -> None:
    scene.air.is_lossy = True
    call = await scene.calling()
    await scene.answer()
    scene.air.interrupt()
    assert (await call).status is MessageStatus.COMPLETED


async def test_after_a_crash_of_the_owner_the_caller_checks_and_keeps_waiting(scene: Scene) -> None:
    """The node that was left alone answers; no other node is there that could tell."""
    call = await scene.calling()
    scene.here.cluster.change(node("here"))
    await asyncio.sleep(0)
    assert not call.done()
    scene.owner = scene.here
    await scene.answer()
    assert (await call).status is MessageStatus.COMPLETED


async def test_an_end_before_the_crash_was_detected_is_found_after_it(scene: Scene) -> None:
    scene.air.is_lossy = True
    call = await scene.calling()
    await scene.answer()
    scene.here.cluster.change(node("here"))
    assert (await call).status is MessageStatus.COMPLETED


async def test_a_stop_at_another_node_ends_the_wait(scene: Scene) -> None:
    call = await scene.calling()
    stop = Message("test:ann", "stop", Payload(Text("stop")), address="desk", reply_mode=ReplyMode.OUTBOX)
    await scene.owner.inbox.handle(stop)
    assert (await call).status is MessageStatus.STOPPED


async def test_a_watched_message_away_from_its_owner_is_accepted_and_completed(scene: Scene) -> None:
    events = [each async for each in watched(scene)]
    assert isinstance(events[0], Durable)
    assert [type(each) for each in events[1:]] == [Answer]
    assert events[1].status is MessageStatus.COMPLETED


async def watched(
    scene: Scene, answer: Callable[[], Awaitable[None]] | None = None, message: Message | None = None
) -> AsyncIterator[Any]:
    async for event in scene.here.inbox.stream(message or scene.message()):
        yield event
        if isinstance(event, Durable):
            await (answer or scene.answer)()


@pytest.mark.parametrize("mode", list(ReplyMode))
async def test_a_watcher_away_from_the_owner_receives_needed_accounts_and_approvals(
    scene: Scene, mode: ReplyMode
) -> None:
    message = scene.message(mode)
    events = [each async for each in watched(scene, lambda: scene.asks("cn_1"), message)]
    durable, account, approval, completed = events
    assert isinstance(durable, Durable)
    assert account == ConnectNeeded("asana", Link("https://link/cn_1", "Connect Asana", 9.0))
    assert isinstance(approval, ApprovalNeeded)
    assert approval.calls == (("c1", "SEND"), ("c2", "SEND"))
    assert [choice.title for choice in approval.choices] == ["Approve all", "Refuse all"]
    assert completed.status is MessageStatus.COMPLETED
    repeat = [each async for each in scene.here.inbox.stream(message)]
    assert [type(each) for each in repeat] == [Durable, Answer], "a repeated call gets the end"


async def test_a_watcher_receives_a_need_once(scene: Scene) -> None:
    """The turn runs here, and tells of it, too."""
    watching = asyncio.create_task(seen(scene.here.inbox.stream(scene.message())))
    while not (waited := scene.here.waiters.may_end_elsewhere):
        await asyncio.sleep(0)
    turn: Any = SimpleNamespace(messages=[SimpleNamespace(seq=waited[0])])
    scene.here.progress.tell(turn, ConnectNeeded("Asana", Link("https://link/cn_1", "Connect Asana")))
    await scene.asks("cn_1")
    events = await watching
    assert [type(each) for each in events] == [Durable, ConnectNeeded, ApprovalNeeded, Answer]
    assert events[1].toolkit == "Asana"


async def seen(events: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in events]


async def test_a_need_of_another_turn_is_not_reported(scene: Scene) -> None:
    [_ async for _ in watched(scene, lambda: scene.asks("cn_1"))]
    events = [each async for each in watched(scene)]
    assert [type(each) for each in events] == [Durable, Answer]


async def test_a_repeat_at_a_third_node_waits_as_well(scene: Scene) -> None:
    message = scene.message()
    call = await scene.calling(message)
    third = Here(scene.store, scene.clock, scene.air, "third", "owner", "here")
    repeat = asyncio.create_task(third.inbox.handle(message))
    while not third.waiters.may_end_elsewhere:
        await asyncio.sleep(0)
    await scene.answer()
    assert [(await one).duplicate for one in (call, repeat)] == [False, True]


async def test_a_draining_node_releases_its_callers(scene: Scene) -> None:
    call = await scene.calling()
    scene.here.waiters.close()
    with pytest.raises(Unavailable):
        await call


async def test_ends_of_inline_messages_are_sent_to_other_nodes_only(scene: Scene) -> None:
    await scene.here.inbox.handle(scene.message(ReplyMode.OUTBOX))
    await scene.answer()
    assert scene.air.sent == 0
    scene.here.cluster.change(node("here"))
    scene.owner.cluster.change(node("owner"))
    call = asyncio.create_task(scene.owner.inbox.handle(scene.message()))
    await asyncio.sleep(0.05)
    await scene.answer()
    assert (await call).status is MessageStatus.COMPLETED
    assert scene.air.sent == 0
    assert not scene.owner.waiters.may_end_elsewhere, "a node that is alone looks for nothing"


async def test_many_ends_are_sent_in_short_notices(scene: Scene) -> None:
    scene.owner.waiters.withdrawn(range(10**15, 10**15 + MESSAGES_PER_NOTICE * 2 + 1))
    assert scene.air.sent == 3


async def test_nothing_is_left_of_callers_who_gave_up(scene: Scene) -> None:
    call = await scene.calling()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not scene.here.waiters.may_end_elsewhere


async def test_a_caller_who_gives_up_as_the_service_ends_leaves_no_error(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with scene.here.waiters.waiting(1):
        scene.here.waiters.close()
    gc.collect()
    await asyncio.sleep(0)
    assert caplog.records == []


# --- links to the chat ------------------------------------------------------------------------------------------


async def test_a_chat_link_that_another_node_changed_is_changed_again(scene: Scene) -> None:
    one, other = "https://one.example/{text}", "https://two.example/{text}"
    for here, link in ((scene.here, one), (scene.owner, other)):
        await here.inbox.handle(scene.message(ReplyMode.OUTBOX, link))
    scene.clock.now += LINK_SECONDS
    await scene.here.inbox.handle(scene.message(ReplyMode.OUTBOX, one))
    assert await scene.store.chats.link("test", "desk") == one


async def test_a_chat_link_that_is_stored_already_is_not_written_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    keep = scene.store.chats.keep_link

    async def noted(person_id: str, channel: str, address: str, link: str) -> None:
        written.append(link)
        await keep(person_id, channel, address, link)

    monkeypatch.setattr(scene.store.chats, "keep_link", noted)
    for _ in range(3):
        for here in (scene.here, scene.owner):
            await here.inbox.handle(scene.message(ReplyMode.OUTBOX, "https://one.example/{text}"))
        scene.clock.now += LINK_SECONDS
    assert len(written) == 1


# --- needs ------------------------------------------------------------------------------------------------------


async def test_a_watched_message_that_ends_without_a_turn_asks_for_no_needs(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def noted(_: str, turn_id: str) -> list[Any]:
        asked.append(turn_id)
        return []

    monkeypatch.setattr(scene.store.inbox, "needs_of", noted)
    watching = asyncio.create_task(seen(scene.here.inbox.stream(scene.message())))
    while not scene.here.waiters.may_end_elsewhere:
        await asyncio.sleep(0)
    stop = Message("test:ann", "stop", Payload(Text("stop")), address="desk", reply_mode=ReplyMode.OUTBOX)
    await scene.owner.inbox.handle(stop)
    assert [type(each) for each in await watching] == [Durable, Answer]
    assert not asked


async def test_needs_are_those_of_the_person_alone(scene: Scene) -> None:
    [_ async for _ in watched(scene, lambda: scene.asks("cn_1"))]
    other = await scene.store.inbox.accept(
        Message("test:bob", "m1", Payload(Text("hello")), address="desk"), now=scene.clock(), max_pending=9
    )
    ann = await scene.store.people.person_of("test:ann", now=scene.clock())
    assert ann is not None
    turn_id = (await scene.store.inbox.answer_of(ann, 1)).turn_id
    assert len(await scene.store.inbox.needs_of(ann, turn_id)) == 2
    assert not await scene.store.inbox.needs_of(other.person_id, turn_id)
