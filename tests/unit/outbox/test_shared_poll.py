"""Idle streams of one channel share one poll of the store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.outbox.outbox import Outbox
from kernel_service.ports.messages import Reply, StoredReply
from kernel_service.ports.outbox import Lease
from tests.node_view import Board, View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.ports.outbox import Puller


class Store:
    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.asked = 0

    async def open_puller(self, channel: str, instance: str, *, now: float) -> int:
        return 0

    async def lease(self, puller: Puller, addresses: Sequence[str], *, limit: int, now: float, **_: Any) -> list[Lease]:
        self.asked += 1
        await asyncio.sleep(0)
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        stored = [StoredReply(name, "t", "m", now, Reply("hi")) for name in taken]
        return [Lease(each, "p", "chat:1", "", "token", now + 60, [], 0, "") for each in stored]

    async def leased_until(self, leases: Sequence[tuple[str, str]]) -> list[float | None]:
        return [1060.0 for _ in leases]

    async def expire_leases(self, leases: Any, *, until: float) -> None: ...

    async def release(self, leases: Any) -> None: ...


class Streams:
    """This number of streams, each read by a separate task."""

    def __init__(self, store: Store, *pulls: tuple[str, list[str], str]) -> None:
        self.outbox = Outbox(store, View(), Board(), lambda: 1000.0)  # type: ignore[arg-type]
        self.got: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
        self.tasks = [
            asyncio.create_task(self._read(place, self.outbox.pull(channel, addresses, 9, instance)))
            for place, (channel, addresses, instance) in enumerate(pulls)
        ]

    async def _read(self, place: int, pull: AsyncIterator[Any]) -> None:
        async for lease, _ in pull:
            self.got.put_nowait((place, lease.reply.id))

    async def settled(self) -> None:
        for _ in range(20 * len(self.tasks)):
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.outbox.close()
        await asyncio.gather(*self.tasks)


@pytest.mark.parametrize("instances", [1, 50])
async def test_one_wakeup_costs_one_poll_for_all_streams(instances: int) -> None:
    store = Store()
    streams = Streams(store, *(("chat", [], f"gateway-{number % instances}") for number in range(50)))
    await streams.settled()
    assert store.asked == 1
    store.waiting = ["rp_1", "rp_2"]
    streams.outbox.ready("chat")
    assert {(await streams.got.get())[1] for _ in range(2)} == {"rp_1", "rp_2"}
    await streams.settled()
    assert store.asked == 2
    await streams.close()


async def test_streams_of_other_scopes_poll_for_themselves() -> None:
    store = Store()
    streams = Streams(store, ("chat", [], "a"), ("chat", ["1"], "a"), ("chat", ["2"], "a"), ("mail", [], "a"))
    await streams.settled()
    assert store.asked == 4
    await streams.close()


async def test_replies_beyond_one_streams_credit_go_to_the_others() -> None:
    store = Store()
    streams = Streams(store, *(("chat", [], "gateway") for _ in range(3)))
    await streams.settled()
    store.waiting = [f"rp_{number}" for number in range(27)]
    streams.outbox.ready("chat")
    got = [await streams.got.get() for _ in range(27)]
    assert {place for place, _ in got} == {0, 1, 2}
    assert len({reply_id for _, reply_id in got}) == 27
    await streams.close()


@pytest.mark.slow
async def test_reply_due_by_time_is_found_by_polling() -> None:
    store = Store()
    streams = Streams(store, *(("chat", [], "gateway") for _ in range(3)))
    await streams.settled()
    store.waiting = ["rp_1"]  # and no wakeup announces it
    assert (await asyncio.wait_for(streams.got.get(), 5))[1] == "rp_1"
    await streams.close()


async def test_shared_poll_is_dropped_with_its_last_stream() -> None:
    streams = Streams(Store(), ("chat", [], "a"), ("chat", ["1"], "a"))
    await streams.settled()
    assert len(streams.outbox._polls) == 2
    streams.tasks[1].cancel()
    await streams.settled()
    assert len(streams.outbox._polls) == 1
    streams.tasks.pop()
    await streams.close()
    assert not streams.outbox._polls
