"""A network accepts a message and later reports it as failed. On every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.admin import PartView
from kernel_service.ports.outbox import Outcome
from kernel_service.ports.states.part import PartState
from kernel_service.storage.outbox.doubt import MOST_REPEATS
from tests.contract.store.outbox import ADDRESS, NOW, Chat, ack, lapse, pull, pulled_texts, receipt

if TYPE_CHECKING:
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

RETRY, HELD = Outcome.RETRY, Outcome.WINDOW_CLOSED


async def sent(store: Store, parts: int = 1) -> tuple[Chat, Lease]:
    """A reply that the network accepted, part n as `w<n>`."""
    anna = await Chat(store, "test:anna").write()
    await anna.tell("an answer")
    [lease] = await pull(store)
    for part in range(1, parts + 1):
        await ack(store, lease, part=part, parts=parts, channel_message_id=f"w{part}")
    assert (await anna.view(lease.reply.id)).state == "sent"
    return anna, lease


async def test_a_permanent_failure_fails_the_reply(store: Store) -> None:
    anna, lease = await sent(store, 2)
    await receipt(store, lease.reply.id, "failed", parts=2, error_code="131026", now=NOW + 2)
    view = await anna.view(lease.reply.id)
    assert (view.state, view.error_code, view.settled_at) == ("failed", "131026", NOW + 2)
    assert view.parts == [
        PartView(1, sent=False, receipt=PartState.FAILED, error_code="131026"),
        PartView(2, sent=True, receipt=PartState.UNREPORTED, error_code=""),
    ]
    assert await pull(store, now=NOW + 9_999) == []


async def test_a_transient_failure_resends_only_that_part(store: Store) -> None:
    anna, lease = await sent(store, 3)
    await receipt(
        store, "", "failed", channel_message_id="w2", error_code="131016", outcome=RETRY, retry_after=5, now=NOW + 1
    )
    view = await anna.view(lease.reply.id)
    assert (view.state, view.error_code, view.settled_at) == ("pending", "131016", None)
    assert view.parts[1] == PartView(2, sent=False, receipt=PartState.FAILED, error_code="131016")
    assert await pull(store, now=NOW + 5.9) == []
    [again] = await pull(store, now=NOW + 6)
    assert (again.sent_parts, again.parts) == ([1, 3], 3)
    await ack(store, again, part=2, parts=3, channel_message_id="w4", now=NOW + 7)
    view = await anna.view(lease.reply.id)
    assert (view.state, view.error_code) == ("sent", "")
    assert view.parts[1] == PartView(2, sent=True, receipt=PartState.UNREPORTED, error_code="")


async def test_a_retry_without_a_time_backs_off(store: Store) -> None:
    _, lease = await sent(store)
    await receipt(store, lease.reply.id, "failed", outcome=RETRY)
    assert await pulled_texts(store, now=NOW + 1) == []
    assert await pulled_texts(store, now=NOW + 2) == ["an answer"]


async def test_a_closed_window_holds_it_until_the_person_writes(store: Store) -> None:
    anna, lease = await sent(store)
    await receipt(store, lease.reply.id, "failed", error_code="131047", outcome=HELD)
    view = await anna.view(lease.reply.id)
    assert (view.state, view.error_code) == ("held", "131047")
    await anna.tell("later")
    assert await pulled_texts(store, now=NOW + 90_000) == ["later"]
    await anna.write(now=NOW + 90_001)
    assert (await anna.view(lease.reply.id)).state == "pending"


@pytest.mark.parametrize(
    ("wrote_at", "address", "state"),
    [(NOW + 5, ADDRESS, "pending"), (NOW, ADDRESS, "held"), (NOW + 5, "another desk", "held"), (None, ADDRESS, "held")],
)
async def test_a_person_who_wrote_before_the_report_of_a_closed_window_gets_it(
    store: Store, wrote_at: float | None, address: str, state: str
) -> None:
    """The report is about the window before they wrote."""
    anna, lease = await sent(store)
    if wrote_at is not None:
        await Chat(store, "test:anna", address=address, sent=9).write(now=wrote_at)
    await receipt(store, lease.reply.id, "failed", error_code="131047", outcome=HELD, now=NOW + 9)
    assert (await anna.view(lease.reply.id)).state == state


async def test_a_reply_that_is_refused_again_is_held(store: Store) -> None:
    anna, lease = await sent(store)
    await anna.write(now=NOW + 5)
    for turn in (1, 2):
        await receipt(store, lease.reply.id, "failed", channel_message_id=f"w{turn}", outcome=HELD, now=NOW + 10 * turn)
        for again in await pull(store, now=NOW + 10 * turn + 1):
            await ack(store, again, channel_message_id=f"w{turn + 1}", now=NOW + 10 * turn + 2)
    assert (await anna.view(lease.reply.id)).state == "held"


@pytest.mark.parametrize("outcome", [RETRY, HELD])
async def test_a_repeated_report_of_the_failed_message_changes_nothing(store: Store, outcome: Outcome) -> None:
    anna, lease = await sent(store)

    async def failed(now: float) -> None:
        await receipt(store, lease.reply.id, "failed", channel_message_id="w1", outcome=outcome, retry_after=0, now=now)

    await failed(NOW + 1)
    await anna.write(now=NOW + 2)
    [again] = await pull(store, now=NOW + 3)
    await failed(NOW + 4)
    assert (await anna.view(lease.reply.id)).state == "leased"
    await ack(store, again, channel_message_id="w9", now=NOW + 5)
    await failed(NOW + 6)
    await receipt(store, lease.reply.id, "sent", channel_message_id="w1", now=NOW + 7)
    view = await anna.view(lease.reply.id)
    assert (view.state, view.parts) == ("sent", [PartView(1, sent=True, receipt=PartState.SENT, error_code="")])


async def test_a_late_acceptance_of_the_failed_message_does_not_settle_the_next(store: Store) -> None:
    anna, lease = await sent(store)
    await receipt(store, lease.reply.id, "failed", channel_message_id="w1", outcome=RETRY, retry_after=0)
    await pull(store)
    await receipt(store, lease.reply.id, "failed", channel_message_id="w2", outcome=RETRY, retry_after=0)
    await receipt(store, lease.reply.id, "sent", channel_message_id="w1")
    assert (await anna.view(lease.reply.id)).state == "pending"
    await receipt(store, lease.reply.id, "delivered", channel_message_id="w1")  # either message: the person has it
    assert (await anna.view(lease.reply.id)).state == "sent"


async def test_of_two_messages_one_success_is_enough(store: Store) -> None:
    anna, lease = await sent(store)
    await receipt(store, lease.reply.id, "failed", channel_message_id="another", outcome=RETRY)
    assert (await anna.view(lease.reply.id)).state == "sent"


async def test_a_failure_waits_while_the_other_parts_are_being_sent(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    [lease] = await pull(store)
    await ack(store, lease, part=1, parts=2, channel_message_id="w1")
    await receipt(store, reply_id, "failed", parts=2, channel_message_id="w1", error_code="131016", outcome=RETRY)
    assert (await anna.view(reply_id)).state == "leased"  # otherwise another process would send part 2 as well
    await ack(store, lease, part=2, parts=2, channel_message_id="w2")
    view = await anna.view(reply_id)
    assert (view.state, view.error_code) == ("pending", "131016")
    [again] = await pull(store, now=NOW + 60)
    assert again.sent_parts == [2]


async def test_a_failure_settles_a_doubt(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("perhaps sent")
    [lease] = await pull(store)
    await ack(store, lease, Outcome.UNKNOWN)
    await receipt(store, reply_id, "failed", channel_message_id="w1", outcome=RETRY, retry_after=0)
    [again] = await pull(store)
    await ack(store, again, channel_message_id="w2")
    assert (await anna.view(reply_id)).state == "sent"


async def test_a_failure_leaves_the_other_parts_in_doubt(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("long")
    [lease] = await pull(store)
    await receipt(store, reply_id, "failed", parts=2, channel_message_id="w1", outcome=RETRY, retry_after=0)
    assert await lapse(store, now=lease.expires_at + 1) == 1
    assert (await anna.view(reply_id)).state == "in_doubt"
    await receipt(store, reply_id, "sent", part=2, parts=2, channel_message_id="w2", now=lease.expires_at + 2)
    assert (await anna.view(reply_id)).state == "pending"


async def test_a_channel_without_message_ids_resends_too(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("an answer")
    [lease] = await pull(store)
    await receipt(store, reply_id, "failed", outcome=RETRY, retry_after=0)
    await ack(store, lease)  # of the message that failed
    assert (await anna.view(reply_id)).state == "pending"
    [again] = await pull(store)
    await ack(store, again)
    assert (await anna.view(reply_id)).state == "sent"


async def test_a_reply_that_the_network_accepts_and_fails_repeatedly_is_given_up_and_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    anna, lease = await sent(store)
    await anna.tell("next")
    now, sends = NOW, 1
    while (view := await anna.view(lease.reply.id)).state != "failed":
        await receipt(store, lease.reply.id, "failed", channel_message_id=f"w{sends}", outcome=RETRY, now=now)
        now += 301  # the longest backoff
        for again in await pull(store, now=now, limit=1):
            sends += again.reply.id == lease.reply.id
            await ack(store, again, channel_message_id=f"w{sends}", now=now)
    assert sends == MOST_REPEATS
    assert view.state == "failed"
    assert f"reply {lease.reply.id} of {anna.person_id} is given up" in caplog.text


async def test_a_network_that_names_a_retry_time_is_retried_for_a_day(store: Store) -> None:
    anna, lease = await sent(store)
    now, sends = NOW, 1
    while (await anna.view(lease.reply.id)).state != "failed":
        await receipt(
            store,
            lease.reply.id,
            "failed",
            channel_message_id=f"w{sends}",
            error_code="131042",
            outcome=RETRY,
            retry_after=300,
            now=now,
        )
        now += 301
        for again in await pull(store, now=now):
            sends += 1
            await ack(store, again, channel_message_id=f"w{sends}", now=now)
    assert now - NOW > 24 * 3600
    assert (await anna.view(lease.reply.id)).error_code == "131042"


async def test_a_message_that_the_network_never_accepted_is_not_counted(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("an answer")
    for hour in range(3 * MOST_REPEATS):
        [lease] = await pull(store, now=NOW + 3600 * hour)
        await ack(store, lease, RETRY, now=NOW + 3600 * hour)
    assert (await anna.view(reply_id)).state == "pending"
