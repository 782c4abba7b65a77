"""Replies that transactions lease to attached streams: credit, fairness, and the leases that no stream takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.outbox.pull_stream import MOST_UNSENT
from kernel_service.ports.messages import Reply, StoredReply
from kernel_service.ports.outbox import Lease, StoredReplies
from tests.unit.outbox.test_outbox import Store, outbox_of, sent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.outbox.offered_lease import StreamOffer
    from kernel_service.ports.outbox import Puller

NOW = 1000.0


class Offering(Store):
    """Counts the polls, and the releases of offered leases."""

    def __init__(self, count: int = 0) -> None:
        super().__init__(count)
        self.polls = 0
        self.offers_back: list[tuple[str, str]] = []

    async def lease(self, puller: Puller, addresses: Sequence[str], **more: Any) -> list[Lease] | None:
        self.polls += 1
        return await super().lease(puller, addresses, **more)

    async def release_offered(self, person_id: str, token: str) -> None:
        if self.away:
            raise StoreUnavailable
        self.offers_back.append((person_id, token))


class Streams:
    """Streams of the channel "chat", read by one task each, and turns that end."""

    def __init__(self, store: Store, *credits_: int, addresses: Sequence[str] = ()) -> None:
        self.outbox = outbox_of(store, lambda: NOW)
        self.got: list[tuple[int, str]] = []
        self.tasks = [
            asyncio.create_task(self._read(place, self.outbox.pull("chat", addresses, credit, f"gateway-{place}")))
            for place, credit in enumerate(credits_)
        ]

    async def _read(self, place: int, pull: AsyncIterator[Any]) -> None:
        async for lease, _ in pull:
            self.got.append((place, lease.reply.id))

    def end_turn(self, reply_id: str, address: str = "desk", *, pending: bool = False) -> bool:
        """Whether the reply was leased at once."""
        with self.outbox.offered_lease("p_ann", "chat", address) as offered:
            offered.stored(stored(reply_id, offered, pending=pending))
        return offered.lease is not None

    async def close(self) -> None:
        self.outbox.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def stored(reply_id: str, offered: StreamOffer, *, pending: bool = False) -> StoredReplies:
    reply, offer = StoredReply(reply_id, "t", "m", NOW, Reply("hi")), offered.offer
    if offer is None or pending:
        return StoredReplies([reply], None, is_pending=True)
    return StoredReplies([reply], Lease(reply, "p_ann", "chat:1", "", offer.token, NOW + offer.seconds, [], 0, ""))


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_leased_reply_reaches_its_stream_without_a_poll() -> None:
    store = Offering()
    streams = Streams(store, 9)
    await settled()
    assert store.polls == 1
    assert streams.end_turn("rp_1")
    await settled()
    assert streams.got == [(0, "rp_1")]
    assert store.polls == 1
    await streams.close()


async def test_pushed_replies_count_against_the_credit() -> None:
    store = Offering()
    streams = Streams(store, 2)
    await settled()
    assert [streams.end_turn(f"rp_{number}") for number in range(3)] == [True, True, False]
    await settled()
    await streams.outbox.settle("chat", [sent("rp_0")])
    await settled()
    assert streams.end_turn("rp_3")
    await streams.close()


async def test_replies_that_wait_for_credit_go_first() -> None:
    store = Offering()
    streams = Streams(store, 1)
    await settled()
    assert streams.end_turn("rp_0")
    assert not streams.end_turn("rp_1")
    store.waiting = ["rp_1"]
    await settled()
    settling = asyncio.ensure_future(streams.outbox.settle("chat", [sent("rp_0")]))
    await settling
    assert not streams.end_turn("rp_2"), "rp_1 waits for longer"
    await settled()
    assert streams.got == [(0, "rp_0"), (0, "rp_1")]
    await streams.close()


async def test_streams_share_the_replies() -> None:
    streams = Streams(Offering(), 9, 9, 9)
    await settled()
    for number in range(6):
        assert streams.end_turn(f"rp_{number}")
    await settled()
    assert sorted(place for place, _ in streams.got) == [0, 0, 1, 1, 2, 2]
    await streams.close()


async def test_a_stream_gets_only_replies_at_its_addresses() -> None:
    streams = Streams(Offering(), 9, addresses=["desk"])
    await settled()
    assert [streams.end_turn("rp_1", "desk"), streams.end_turn("rp_2", "phone")] == [True, False]
    await streams.close()


async def test_a_stream_that_does_not_read_gets_no_further_lease() -> None:
    store = Offering()
    outbox = outbox_of(store, lambda: NOW)
    pull = outbox.pull("chat", [], 100, "gateway-1")
    streams = Streams(store)
    streams.outbox = outbox
    reading = asyncio.ensure_future(anext(pull))
    await settled()
    leased = [streams.end_turn(f"rp_{number}") for number in range(MOST_UNSENT + 2)]
    assert leased.count(True) == MOST_UNSENT
    await reading
    await pull.aclose()  # type: ignore[attr-defined]
    assert [name for name, _ in store.back] == [f"rp_{number}" for number in range(1, MOST_UNSENT)]


async def test_credit_returns_if_the_transaction_is_rolled_back_or_uses_no_lease() -> None:
    streams = Streams(Offering(), 1)
    await settled()
    with pytest.raises(LookupError), streams.outbox.offered_lease("p_ann", "chat", ""):
        raise LookupError
    assert not streams.end_turn("rp_1", pending=True)
    await settled()
    assert streams.end_turn("rp_2")
    await streams.close()


async def test_a_reservation_is_exclusive() -> None:
    streams = Streams(Offering(), 1)
    await settled()
    offers = streams.outbox.offered_lease("p_ann", "chat", ""), streams.outbox.offered_lease("p_bob", "chat", "")
    with offers[0] as first, offers[1] as second:
        assert (first.offer is None, second.offer is None) == (False, True)
    await streams.close()


async def test_a_pending_reply_is_polled() -> None:
    store = Offering()
    streams = Streams(store, 9)
    await settled()
    store.waiting = ["rp_1"]
    streams.end_turn("rp_1", pending=True)
    await settled()
    assert streams.got == [(0, "rp_1")]
    await streams.close()


async def test_a_stream_that_ends_before_the_commit_releases_the_lease() -> None:
    store = Offering()
    streams = Streams(store, 9)
    await settled()
    with streams.outbox.offered_lease("p_ann", "chat", "") as offered:
        streams.tasks[0].cancel()
        await settled()
        offered.stored(stored("rp_1", offered))
    await settled()
    assert offered.offer is not None
    assert store.back == [("rp_1", offered.offer.token)]


async def test_a_released_instance_gets_no_lease_of_a_running_transaction() -> None:
    store = Offering()
    streams = Streams(store, 9)
    await settled()
    with streams.outbox.offered_lease("p_ann", "chat", "") as offered:
        await streams.outbox.release_leases("chat", "gateway-0", [])
        offered.stored(stored("rp_1", offered))
    await settled()
    assert [name for name, _ in store.back] == ["rp_1"]
    assert streams.got == []


async def test_a_lease_that_was_never_sent_is_released_when_the_service_drains() -> None:
    store = Offering()
    streams = Streams(store, 9)
    await settled()
    streams.end_turn("rp_1")
    await streams.close()
    assert [name for name, _ in store.back] == ["rp_1"]
    assert not streams.end_turn("rp_2"), "no stream is left"


async def test_a_cancelled_transaction_releases_what_it_may_have_leased() -> None:
    """It may still be committed, and no caller learns which reply it leased."""
    store = Offering()
    streams = Streams(store, 1)
    await settled()
    with pytest.raises(asyncio.CancelledError), streams.outbox.offered_lease("p_ann", "chat", "") as offered:
        raise asyncio.CancelledError
    await settled()
    assert offered.offer is not None
    assert store.offers_back == [("p_ann", offered.offer.token)]
    assert streams.end_turn("rp_2")
    await streams.close()


async def test_the_end_of_a_turn_survives_a_store_that_cannot_release() -> None:
    store = Offering()
    streams = Streams(store, 1)
    await settled()
    store.away = True
    with pytest.raises(asyncio.CancelledError), streams.outbox.offered_lease("p_ann", "chat", ""):
        raise asyncio.CancelledError
    await settled()
    store.away = False
    assert streams.end_turn("rp_2")
    await streams.close()
