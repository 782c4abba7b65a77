"""A process of a channel extends the leases that it still needs. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.outbox import AckResult, Outcome
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

LATE = NOW + LEASE_SECONDS - 1
MUCH_LATER = NOW + 2 * LEASE_SECONDS - 2


async def leased(store: Store, name: str = "anna") -> Lease:
    await (await Chat(store, f"test:{name}").write()).tell(name)
    (lease,) = await pull(store)
    return lease


async def extend(store: Store, *leases: tuple[str, str], now: float = LATE, channel: str = CHANNEL) -> list[bool]:
    return await store.outbox.extend_leases(channel, leases, until=now + LEASE_SECONDS, now=now)


async def test_an_extended_lease_outlasts_its_first_end(store: Store) -> None:
    lease = await leased(store)
    assert await extend(store, (lease.reply.id, lease.token)) == [True]
    assert await lapse(store, now=MUCH_LATER) == 0
    assert await pulled_texts(store, now=MUCH_LATER) == []
    assert await ack(store, lease, Outcome.RETRY, retry_after=0, now=MUCH_LATER) is AckResult.RECORDED


async def test_an_extended_lease_expires_too(store: Store) -> None:
    lease = await leased(store)
    await extend(store, (lease.reply.id, lease.token))
    assert await lapse(store, now=LATE + LEASE_SECONDS + 1) == 1


async def test_an_extension_never_shortens_a_lease(store: Store) -> None:
    lease = await leased(store)
    assert await extend(store, (lease.reply.id, lease.token), now=NOW - 20) == [True]
    assert await lapse(store, now=NOW + LEASE_SECONDS - 1) == 0


async def test_leases_are_reported_in_order(store: Store) -> None:
    lease = await leased(store)
    mine = lease.reply.id, lease.token
    assert await extend(store, ("rp_none", "t"), mine, (lease.reply.id, "another's"), mine) == [
        False,
        True,
        False,
        True,
    ]
    assert await extend(store, mine, channel="other") == [False]


@pytest.mark.parametrize(
    "outcome", [Outcome.SENT, Outcome.RETRY, Outcome.FAILED, Outcome.WINDOW_CLOSED, Outcome.UNKNOWN]
)
async def test_a_settled_reply_is_no_longer_leased(store: Store, outcome: Outcome) -> None:
    lease = await leased(store)
    await ack(store, lease, outcome)
    assert await extend(store, (lease.reply.id, lease.token)) == [False]


async def test_an_expired_or_released_lease_is_not_revived(store: Store) -> None:
    lease = await leased(store)
    mine = lease.reply.id, lease.token
    assert await extend(store, mine, now=NOW + LEASE_SECONDS + 1) == [False]
    await store.outbox.release_leases(CHANNEL, "gateway-1", [])
    assert await extend(store, mine) == [False]
    (again,) = await pull(store, instance="gateway-2")
    assert await extend(store, mine, (again.reply.id, again.token)) == [False, True]
