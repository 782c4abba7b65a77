"""A reply in doubt: it is unknown whether it was sent. How long a receipt is awaited. On every engine.

Each test names its bound: the end of the lease, the grace (connected seconds), the time for which the channel was away,
or the longest grace (connected seconds, regardless of the others).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.outbox import SENDING_SECONDS, AckResult, Outcome
from kernel_service.storage.outbox.doubt import MOST_REPEATS
from tests.contract.store.outbox import CHANNEL, LEASE_SECONDS, NOW, Chat, ack, lapse, pull, pulled_texts, receipt

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

GRACE = 15.0
LONGEST_GRACE = 300.0
LAPSED = NOW + LEASE_SECONDS + 1


async def doubtful(store: Store) -> Chat:
    """A person whose only reply was leased and never acknowledged; in doubt since LAPSED."""
    anna = await Chat(store, "test:anna").write()
    await anna.tell("perhaps sent")
    await pull(store)
    assert await lapse(store, now=LAPSED) == 1
    return anna


async def sweep(store: Store, now: float, *, connected: float) -> int:
    return await lapse(store, now=now, connected=connected, grace=GRACE, longest_grace=LONGEST_GRACE)


async def test_a_doubt_ends_after_the_grace_in_a_channel_without_any_receipts(store: Store) -> None:
    """The grace."""
    await doubtful(store)
    assert await sweep(store, LAPSED + GRACE - 1, connected=GRACE - 1) == 0
    assert await sweep(store, LAPSED + GRACE, connected=1) == 1
    assert await pulled_texts(store, now=LAPSED + GRACE) == ["perhaps sent"]


async def test_time_without_a_connected_consumer_does_not_count(store: Store) -> None:
    """The grace: the presence of another channel's consumers does not count, however long."""
    await doubtful(store)
    sweep_outbox = partial(store.outbox.sweep, grace=GRACE, longest_grace=LONGEST_GRACE, seconds=GRACE)
    for hours in range(1, 9):
        later = LAPSED + hours * 3600
        assert await sweep_outbox(connected=["other"], now=later) == 0
        assert await sweep_outbox(connected=[], now=later) == 0


async def test_presence_before_the_doubt_does_not_count(store: Store) -> None:
    """The grace, from the doubt on."""
    await (await Chat(store, "test:anna").write()).tell("perhaps sent")
    await pull(store)
    for second in range(int(LEASE_SECONDS)):
        assert await sweep(store, NOW + second, connected=1) == 0
    assert await sweep(store, LAPSED, connected=1) == 1
    assert await sweep(store, LAPSED + GRACE - 1, connected=GRACE - 1) == 0
    assert await sweep(store, LAPSED + GRACE, connected=1) == 1


async def test_after_an_absence_the_wait_is_longer_because_the_network_retries_at_growing_intervals(
    store: Store,
) -> None:
    """The absence: the receipt may take the same time again."""
    await doubtful(store)
    assert await sweep(store, LAPSED + 100, connected=0) == 0
    assert await sweep(store, LAPSED + 199, connected=99) == 0
    assert await sweep(store, LAPSED + 200, connected=1) == 1


async def test_after_a_long_absence_the_wait_is_bounded(store: Store) -> None:
    """The longest grace."""
    await doubtful(store)
    back = LAPSED + 24 * 3600
    assert await sweep(store, back, connected=0) == 0
    assert await sweep(store, back + LONGEST_GRACE - 1, connected=LONGEST_GRACE - 1) == 0
    assert await sweep(store, back + LONGEST_GRACE, connected=1) == 1


async def test_a_channel_with_intermittent_presence_is_not_awaited_for_ever(store: Store) -> None:
    """The longest grace: presence adds up over breaks, however short each period is."""
    await doubtful(store)
    rounds = int(LONGEST_GRACE / 10)
    ended = [await sweep(store, LAPSED + 35 * number, connected=10) for number in range(1, rounds + 1)]
    assert ended == [0] * (rounds - 1) + [1]


async def test_a_receipt_settles_it_before_the_grace_is_over(store: Store) -> None:
    """None of the bounds: a receipt that names the reply comes first."""
    anna = await doubtful(store)
    [view] = (await store.admin.replies(anna.person_id, limit=9, before=""))[0]
    await receipt(store, view.id, "sent", now=LAPSED + GRACE)
    assert await sweep(store, LAPSED + GRACE, connected=GRACE) == 0
    assert (await anna.view(view.id)).state == "sent"


async def test_an_unknown_outcome_is_a_doubt_at_once(store: Store) -> None:
    """The time that the call may still take, longer here than the grace."""
    await (await Chat(store, "test:anna").write()).tell("perhaps sent")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.UNKNOWN, now=NOW + 1)
    assert await sweep(store, NOW + 1 + SENDING_SECONDS, connected=SENDING_SECONDS) == 0
    assert await sweep(store, NOW + 2 + SENDING_SECONDS, connected=1) == 1


async def test_a_doubt_late_in_a_lease_lasts_until_the_lease_ends(store: Store) -> None:
    """The end of the lease."""
    await (await Chat(store, "test:anna").write()).tell("perhaps sent")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.UNKNOWN, now=lease.expires_at - 2)
    assert await lapse(store, now=lease.expires_at, connected=2, grace=1) == 0
    assert await lapse(store, now=lease.expires_at + 1, connected=1, grace=1) == 1


async def test_a_second_doubt_has_a_separate_grace(store: Store) -> None:
    """The grace."""
    await doubtful(store)
    assert await sweep(store, LAPSED + GRACE, connected=GRACE) == 1
    await pull(store, now=LAPSED + GRACE)
    again = LAPSED + GRACE + LEASE_SECONDS + 1
    assert await sweep(store, again, connected=5) == 1
    assert await sweep(store, again + 1, connected=1) == 0


async def test_sent_parts_are_not_sent_again(store: Store) -> None:
    """The grace."""
    await (await Chat(store, "test:anna").write()).tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2)
    assert await lapse(store, now=LAPSED) == 1
    assert await sweep(store, LAPSED + GRACE, connected=GRACE) == 1
    [again] = await pull(store, now=LAPSED + GRACE)
    assert (again.reply.id, again.sent_parts) == (lease.reply.id, [1])


async def test_later_replies_of_the_person_wait_for_it_and_others_do_not(store: Store) -> None:
    """None of the bounds: a reply never overtakes one in doubt."""
    anna = await doubtful(store)
    [view] = (await store.admin.replies(anna.person_id, limit=9, before=""))[0]
    await anna.tell("next")
    await (await Chat(store, "test:bruno").write()).tell("of another")
    assert await pulled_texts(store, now=LAPSED + 3600) == ["of another"]
    await receipt(store, view.id, "sent", now=LAPSED + 3601)
    assert await pulled_texts(store, now=LAPSED + 3601) == ["next"]


async def test_later_replies_of_the_person_follow_the_resent_one(store: Store) -> None:
    """The grace."""
    anna = await doubtful(store)
    await anna.tell("next")
    assert await sweep(store, LAPSED + GRACE, connected=GRACE) == 1
    [again] = await pull(store, now=LAPSED + GRACE)
    assert again.reply.reply.text == "perhaps sent"
    await ack(store, again, now=LAPSED + GRACE)
    assert await pulled_texts(store, now=LAPSED + GRACE) == ["next"]


async def test_a_reply_in_doubt_too_often_is_given_up_and_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    anna = await Chat(store, "test:anna").write()
    deadly = await anna.tell("its sender dies of it")
    await anna.tell("next")
    now, texts = NOW, []
    while (leases := await pull(store, now=now)) and leases[0].reply.id == deadly:
        texts.append(leases[0].reply.reply.text)
        await lapse(store, now=now + LEASE_SECONDS + 1)
        now += LEASE_SECONDS + 1 + GRACE
        await sweep(store, now, connected=GRACE)
    assert len(texts) == MOST_REPEATS
    assert [lease.reply.reply.text for lease in leases] == ["next"]
    view = await anna.view(deadly)
    assert (view.state, view.error_code, view.settled_at) == ("failed", "in_doubt", now)
    assert f"reply {deadly} of {anna.person_id} is given up" in caplog.text


# --- broken streams -------------------------------------------------------------------------------------------------


async def in_hand(store: Store) -> tuple[Chat, Lease]:
    """One reply, leased."""
    anna = await Chat(store, "test:anna").write()
    await anna.tell("perhaps sent")
    [lease] = await pull(store)
    return anna, lease


async def cut(store: Store, lease: Lease, until: float) -> None:
    await store.outbox.expire_leases([(lease.reply.id, lease.token)], until=until)


async def test_a_shortened_lease_ends_at_its_new_time(store: Store) -> None:
    """The end of the lease, as it was shortened; then the grace."""
    anna, lease = await in_hand(store)
    await cut(store, lease, NOW + 20)
    assert await sweep(store, NOW + 20, connected=1) == 0
    assert await sweep(store, NOW + 21, connected=1) == 1
    assert (await anna.view(lease.reply.id)).state == "in_doubt"
    assert await sweep(store, NOW + 21 + GRACE, connected=GRACE) == 1
    assert await pulled_texts(store, now=NOW + 21 + GRACE) == ["perhaps sent"]


async def test_the_leases_of_a_stream_are_shortened_together(store: Store) -> None:
    """The end of the lease, as it was shortened."""
    for name in ("anna", "bruno", "carla"):
        await (await Chat(store, f"test:{name}").write()).tell(f"to {name}")
    leases = await pull(store)
    await store.outbox.expire_leases([(lease.reply.id, lease.token) for lease in leases[:2]], until=NOW + 20)
    await store.outbox.expire_leases([], until=NOW)
    assert await sweep(store, NOW + 21, connected=1) == 2
    assert await sweep(store, LAPSED, connected=1) == 1


async def test_a_lease_is_never_extended_by_shortening(store: Store) -> None:
    """The end of the lease."""
    _, lease = await in_hand(store)
    await cut(store, lease, lease.expires_at + 99)
    assert await sweep(store, LAPSED, connected=1) == 1


@pytest.mark.parametrize("outcome", [Outcome.SENT, Outcome.RETRY, Outcome.FAILED])
async def test_the_holder_of_a_shortened_lease_can_settle_until_it_ends(store: Store, outcome: Outcome) -> None:
    anna, lease = await in_hand(store)
    await cut(store, lease, NOW + 20)
    assert await ack(store, lease, outcome, retry_after=0, now=NOW + 15) is AckResult.RECORDED
    after = {Outcome.SENT: "sent", Outcome.RETRY: "pending", Outcome.FAILED: "failed"}[outcome]
    assert (await anna.view(lease.reply.id)).state == after


async def test_shortening_an_earlier_lease_does_not_end_a_later_one(store: Store) -> None:
    _, first = await in_hand(store)
    await store.outbox.release_leases(CHANNEL, "gateway-1", [])
    await pull(store)
    await cut(store, first, NOW + 1)
    assert await sweep(store, NOW + LEASE_SECONDS, connected=1) == 0
    assert await sweep(store, LAPSED, connected=1) == 1


async def test_two_nodes_that_count_the_same_seconds_end_no_doubt_early(store: Store) -> None:
    """Each of them believes that it leads."""
    await in_hand(store)
    await sweep(store, LAPSED, connected=1)
    for second in range(1, int(GRACE)):
        for _ in range(2):
            assert await sweep(store, LAPSED + second, connected=1) == 0
    assert await sweep(store, LAPSED + GRACE, connected=1) == 1


async def test_leases_of_a_dead_node_end_soon_including_doubts(store: Store) -> None:
    """The end of the lease, as it was shortened; then the grace."""
    _, lease = await in_hand(store)
    await (await Chat(store, "test:bruno").write()).tell("unknown")
    [unknown] = await pull(store)
    await ack(store, unknown, Outcome.UNKNOWN)
    await store.outbox.expire_orphans(until=NOW + 5, now=NOW)
    assert await sweep(store, NOW + 6, connected=1) == 1
    assert await sweep(store, NOW + 6 + GRACE, connected=GRACE) == 2
    assert {one.reply.id for one in await pull(store, now=NOW + 6 + GRACE)} == {lease.reply.id, unknown.reply.id}
