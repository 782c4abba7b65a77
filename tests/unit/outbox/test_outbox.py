from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.outbox.outbox import LEASE_SECONDS, MOST_CONNECTED_SECONDS, Outbox
from kernel_service.ports.messages import Reply, StoredReply
from kernel_service.ports.outbox import SENDING_SECONDS, AckResult, Lease, Outcome, PartAck, Puller, SettledAcks
from tests.nodes import FakeNode, nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Store:
    """Waiting replies, leased in batches under one token."""

    def __init__(self, count: int) -> None:
        self.waiting = [f"rp_{number}" for number in range(count)]
        self.back: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.released: list[tuple[str, str, list[str]]] = []
        self.connected: list[tuple[list[str], float]] = []
        self.cuts: list[tuple[list[tuple[str, str]], float]] = []
        self.away = False
        self.generation = 0
        self.until: dict[str, float | None] = {}
        """When the leases end, as far as they were made by a poll. None: it was settled at another node."""
        self.checks = 0
        self.orphans_until: list[float] = []

    async def open_puller(self, channel: str, instance: str, *, now: float) -> int:
        return self.generation

    async def lease(
        self, puller: Puller, addresses: Sequence[str], *, limit: int, seconds: float, now: float
    ) -> list[Lease] | None:
        if puller.generation != self.generation:
            return None
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        stored = [StoredReply(name, "t", "m", now, Reply("hi")) for name in taken]
        self.until |= dict.fromkeys(taken, now + seconds)
        return [Lease(each, "p", "chat:1", "", "batch", now + seconds, [], 0, "") for each in stored]

    async def leased_until(self, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        self.checks += 1
        return [self.until.get(reply_id, 1000.0 + LEASE_SECONDS) for reply_id, _ in leases]

    async def settle(self, channel: str, acks: Sequence[PartAck], *, now: float) -> SettledAcks:
        return SettledAcks([AckResult.RECORDED for _ in acks], frees=False)

    async def release(self, leases: Sequence[tuple[str, str]]) -> None:
        self.back += leases

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        self.released.append((channel, instance, list(in_hand)))
        return 0

    async def extend_leases(
        self, channel: str, leases: Sequence[tuple[str, str]], *, until: float, now: float
    ) -> list[bool]:
        held = [token == "batch" for _, token in leases]
        self.until |= {reply_id: until for (reply_id, _), is_held in zip(leases, held, strict=True) if is_held}
        return held

    async def expire_leases(self, leases: Sequence[tuple[str, str]], *, until: float) -> None:
        if self.away:
            raise StoreUnavailable
        self.cuts.append((list(leases), until))

    async def expire_orphans(self, *, until: float, now: float) -> list[str]:
        self.orphans_until.append(until)
        return []

    async def sweep(
        self, *, grace: float, longest_grace: float, connected: Sequence[str], seconds: float, now: float
    ) -> int:
        self.connected.append((list(connected), seconds))
        return len(self.waiting)


def outbox_of(store: Any, clock: Callable[[], float] = lambda: 1000.0, node: FakeNode | None = None) -> Outbox:
    node = node or FakeNode()
    outbox = Outbox(store, node.view, node, clock)
    node.channels = outbox.channels
    return outbox


def sent(reply_id: str, part: int = 1, parts: int = 1) -> PartAck:
    return PartAck(reply_id, part, parts, "1", "batch", Outcome.SENT)


async def test_unacknowledged_leases_never_exceed_the_credit() -> None:
    outbox = outbox_of(Store(4))
    pull = outbox.pull("chat", [], 2, "gateway-1")
    (first, _), (second, _) = await anext(pull), await anext(pull)
    third = asyncio.ensure_future(anext(pull))
    await outbox.settle("chat", [sent(first.reply.id, 1, 2)])  # one part of two
    await asyncio.sleep(0)
    assert not third.done()
    await outbox.settle("chat", [sent(first.reply.id, 2, 2)])
    assert (await third)[0].reply.id == "rp_2"
    fourth = asyncio.ensure_future(anext(pull))
    await outbox.settle("chat", [sent(second.reply.id)])
    assert (await fourth)[0].reply.id == "rp_3"
    await pull.aclose()  # type: ignore[attr-defined]


async def test_ending_stream_releases_unsent_leases() -> None:
    store = Store(3)
    pull = outbox_of(store).pull("chat", [], 10, "gateway-1")
    await anext(pull)
    await pull.aclose()  # type: ignore[attr-defined]
    assert store.back == [("rp_1", "batch"), ("rp_2", "batch")]


async def test_stream_cancelled_while_leasing_releases_all_leases() -> None:
    store = Store(2)
    store.gate = asyncio.Event()
    reading = asyncio.ensure_future(anext(outbox_of(store).pull("chat", [], 10, "gateway-1")))
    await store.asked.wait()
    reading.cancel()
    await asyncio.sleep(0)
    store.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await reading
    for _ in range(5):  # in the background: the store may not answer
        await asyncio.sleep(0)
    assert store.back == [("rp_0", "batch"), ("rp_1", "batch")]


async def test_closing_ends_every_stream() -> None:
    outbox = outbox_of(Store(0))
    reading = asyncio.ensure_future(anext(outbox.pull("chat", [], 1, "gateway-1"), None))
    await asyncio.sleep(0)
    outbox.close()
    assert await reading is None


async def test_lease_states_its_remaining_seconds() -> None:
    now = [1000.0]
    pull = outbox_of(Store(2), lambda: now[0]).pull("chat", [], 2, "gateway-1")
    (_, first) = await anext(pull)
    now[0] += 20  # the stream is slow
    (_, second) = await anext(pull)
    assert (first, second) == (LEASE_SECONDS, LEASE_SECONDS - 20)
    await pull.aclose()  # type: ignore[attr-defined]


async def test_an_extended_lease_keeps_its_place_in_the_credit() -> None:
    now = [1000.0]
    outbox = outbox_of(Store(4), lambda: now[0])
    pull = outbox.pull("chat", [], 2, "gateway-1")
    taken = [(await anext(pull))[0].reply.id for _ in range(2)]
    now[0] += LEASE_SECONDS - 1
    assert await outbox.extend("chat", [(taken[0], "batch"), (taken[1], "another's")]) == [True, False]
    now[0] += 2  # only the first is still held: there is room for one
    third = asyncio.ensure_future(anext(pull))
    outbox.ready("chat")
    assert (await third)[0].reply.id == "rp_2"
    fourth = asyncio.ensure_future(anext(pull))
    outbox.ready("chat")
    for _ in range(5):
        await asyncio.sleep(0)
    assert not fourth.done()
    fourth.cancel()


async def test_release_ends_only_the_streams_of_the_instance() -> None:
    store = Store(0)
    outbox = outbox_of(store)
    theirs = [asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-1"), None)) for _ in range(2)]
    others = asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-2"), None))
    await asyncio.sleep(0)
    await outbox.release_leases("chat", "gateway-1", ["rp_9"])
    assert await asyncio.gather(*theirs) == [None, None]
    assert store.released == [("chat", "gateway-1", ["rp_9"])]
    assert not others.done()
    outbox.close()
    await others


async def test_stream_leases_nothing_after_a_release() -> None:
    store = Store(0)
    outbox = outbox_of(store)
    gone = asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-1"), None))
    await store.asked.wait()
    for _ in range(5):  # now it waits for a wakeup
        await asyncio.sleep(0)
    await outbox.release_leases("chat", "gateway-1", [])
    store.waiting = ["rp_later"]
    outbox.ready("chat")
    assert await gone is None
    assert store.waiting == ["rp_later"]


async def test_leases_made_during_a_release_are_released() -> None:
    store = Store(1)
    store.gate = asyncio.Event()
    outbox = outbox_of(store)
    gone = asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-1"), None))
    await store.asked.wait()
    await outbox.release_leases("chat", "gateway-1", [])
    store.gate.set()
    assert await gone is None
    assert store.back == [("rp_0", "batch")]


async def test_sweep_counts_time_only_for_channels_with_a_consumer() -> None:
    now = [1000.0]
    store = Store(0)
    outbox = outbox_of(store, lambda: now[0])
    await outbox.sweep()
    reading = asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-1"), None))
    await store.asked.wait()
    now[0] += 1
    await outbox.sweep()
    now[0] += MOST_CONNECTED_SECONDS + 1  # this process was suspended: no receipt could reach it
    await outbox.sweep()
    outbox.close()
    await reading
    await outbox.sweep()
    assert store.connected == [([], 0), (["chat"], 1), (["chat"], MOST_CONNECTED_SECONDS), ([], 0)]


async def test_sweep_wakes_streams_when_replies_become_pending() -> None:
    store = Store(0)
    outbox = outbox_of(store)
    reading = asyncio.ensure_future(anext(outbox.pull("chat", [], 9, "gateway-1")))
    await store.asked.wait()
    for _ in range(5):  # now it waits for a wakeup
        await asyncio.sleep(0)
    store.waiting = ["rp_in_doubt_no_more"]
    await outbox.sweep()
    async with asyncio.timeout(0.5):  # the poll comes only after a second
        lease, _ = await reading
    assert isinstance(lease, Lease)
    assert lease.reply.id == "rp_in_doubt_no_more"


async def test_ending_stream_expires_only_its_own_leases() -> None:
    store = Store(3)
    outbox = outbox_of(store)
    broken, other = outbox.pull("chat", [], 2, "gateway-1"), outbox.pull("chat", [], 1, "gateway-2")
    for pull in (broken, broken, other):
        await anext(pull)
    await outbox.settle("chat", [sent("rp_0")])
    await broken.aclose()  # type: ignore[attr-defined]
    assert store.cuts == [([("rp_1", "batch")], 1000 + SENDING_SECONDS)]
    await other.aclose()  # type: ignore[attr-defined]


async def test_expiry_is_retried_after_the_store_was_unavailable() -> None:
    now = [1000.0]
    store = Store(1)
    outbox = outbox_of(store, lambda: now[0])
    pull = outbox.pull("chat", [], 2, "gateway-1")
    await anext(pull)
    store.away = True
    with pytest.raises(StoreUnavailable):
        await pull.aclose()  # type: ignore[attr-defined]
    now[0] += 7
    with pytest.raises(StoreUnavailable):
        await outbox.sweep()
    store.away = False
    await outbox.sweep()
    assert store.cuts == [([("rp_0", "batch")], 1000 + SENDING_SECONDS)]


async def test_the_leader_alone_sweeps_for_all() -> None:
    store = Store(0)
    first, second = nodes(2)
    for node in (first, second):
        await outbox_of(store, node=node).sweep()
    assert store.orphans_until == [1000 + SENDING_SECONDS]
    assert store.connected == [([], 0)]
