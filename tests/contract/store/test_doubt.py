"""A reply of which nobody knows whether it was sent: how long a receipt is waited for. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.kernels.outbox_store import Outcome
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts, receipt

if TYPE_CHECKING:
    from kernel_service.kernels.store import Store

GRACE = 30.0
PATIENCE = 300.0
LAPSED = NOW + LEASE_SECONDS + 1


async def doubtful(store: Store) -> Chat:
    """Somebody whose only reply was leased and never acknowledged; in doubt since LAPSED."""
    anna = await Chat(store, "test:anna").write()
    await anna.tell("perhaps sent")
    await pull(store)
    assert await lapse(store, now=LAPSED) == 1
    return anna


async def hear(store: Store, *moments: float, channel: str = CHANNEL) -> None:
    """Receipts of somebody else's messages arrive."""
    for now in moments:
        await receipt(store, "rp_elsewhere", "sent", now=now, channel=channel)


async def sweep(store: Store, now: float) -> int:
    return await lapse(store, now=now, grace=GRACE, patience=PATIENCE)


async def test_receipts_that_arrive_end_a_doubt_after_the_grace(store: Store) -> None:
    await doubtful(store)
    await hear(store, *(LAPSED + second for second in range(0, 30, 5)))
    assert await sweep(store, LAPSED + 29) == 0
    await hear(store, LAPSED + 30)
    assert await sweep(store, LAPSED + 30) == 1
    assert await pulled_texts(store, now=LAPSED + 30) == ["perhaps sent"]


async def test_the_silence_of_the_network_is_no_evidence(store: Store) -> None:
    await doubtful(store)
    await hear(store, LAPSED, LAPSED + 200)  # nothing came in between: ten seconds at most are counted
    assert await sweep(store, LAPSED + 200) == 0
    await hear(store, LAPSED + 210)
    assert await sweep(store, LAPSED + 210) == 0
    await hear(store, LAPSED + 220)
    assert await sweep(store, LAPSED + 220) == 1


async def test_time_before_the_doubt_does_not_count(store: Store) -> None:
    await hear(store, *(LAPSED - second for second in range(100, 0, -9)))
    await doubtful(store)
    await hear(store, *(LAPSED + second for second in (8, 16, 24, 29)))
    assert await sweep(store, LAPSED + 29) == 0
    await hear(store, LAPSED + 30)
    assert await sweep(store, LAPSED + 30) == 1


async def test_each_channel_has_a_clock_of_its_own(store: Store) -> None:
    await doubtful(store)
    await hear(store, *(LAPSED + second for second in range(0, 60, 5)), channel="other")
    assert await sweep(store, LAPSED + 60) == 0


async def test_a_channel_without_receipts_waits_longer_and_not_for_ever(store: Store) -> None:
    await doubtful(store)
    assert await sweep(store, LAPSED + PATIENCE - 1) == 0
    assert await store.lapse(grace=GRACE, patience=PATIENCE, attended=["other"], now=LAPSED + 9_999) == 0
    assert await sweep(store, LAPSED + PATIENCE) == 1


async def test_a_receipt_settles_it_before_the_grace_is_over(store: Store) -> None:
    anna = await doubtful(store)
    [view] = (await store.replies(anna.person_id, limit=9, before=""))[0]
    await hear(store, *(LAPSED + second for second in range(0, 30, 5)))
    await receipt(store, view.id, "sent", now=LAPSED + 30)
    assert await sweep(store, LAPSED + 30) == 0
    assert (await anna.view(view.id)).state == "sent"


async def test_an_unknown_outcome_is_a_doubt_from_then_on_and_not_over_before_its_lease(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("perhaps sent")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.UNKNOWN, now=NOW + 1)
    await hear(store, *(NOW + 1 + second for second in range(0, 31, 5)))  # the grace has passed, the lease has not
    assert await lapse(store, now=lease.expires_at, grace=29) == 0
    assert await lapse(store, now=lease.expires_at + 1, grace=29) == 1


async def test_a_second_doubt_has_a_grace_of_its_own(store: Store) -> None:
    await doubtful(store)
    await hear(store, *(LAPSED + second for second in range(0, 31, 5)))
    assert await sweep(store, LAPSED + 30) == 1
    await pull(store, now=LAPSED + 30)
    again = LAPSED + 30 + LEASE_SECONDS + 1
    assert await sweep(store, again) == 1
    await hear(store, again, again + 1)
    assert await sweep(store, again + 1) == 0


async def test_what_was_sent_of_it_is_not_sent_again(store: Store) -> None:
    await (await Chat(store, "test:anna").write()).tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2)
    assert await lapse(store, now=LAPSED) == 1
    assert await sweep(store, LAPSED + PATIENCE) == 1
    [again] = await pull(store, now=LAPSED + PATIENCE)
    assert (again.reply.id, again.sent_parts) == (lease.reply.id, [1])
