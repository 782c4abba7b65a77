"""A person is invited to write once a day, whichever processes of the channel ask. On every engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.clock import DAY_SECONDS
from kernel_service.outbox.invitations import REPEAT_SECONDS, RETRY_DAYS, Invitations
from kernel_service.ports.commands import Command
from kernel_service.ports.invitations import ASKED_RECENTLY_SECONDS, Invitation
from kernel_service.ports.outbox import AckResult, Outcome
from kernel_service.ports.payloads import Scheduled
from kernel_service.ports.schedules import ScheduleKind
from kernel_service.storage.inbox import own_messages
from tests.clock import Clock
from tests.contract.store.outbox import CHANNEL, NOW, Chat, ack, pull, receipt
from tests.contract.store.owner import own, say

if TYPE_CHECKING:
    from kernel_service.storage.store import Store


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def invitations(store: Store, clock: Clock) -> Invitations:
    return Invitations(store.invitations, clock)


async def reply_to(store: Store, name: str) -> str:
    return await (await Chat(store, f"test:{name}").write()).tell("a reminder")


async def test_of_all_processes_one_invites_a_person_and_again_after_a_day(
    store: Store, invitations: Invitations, clock: Clock
) -> None:
    first, second = [await reply_to(store, "anna") for _ in range(2)]
    claims = (invitations.claim(CHANNEL, first, f"gateway-{number}") for number in range(5))
    assert [invitation is None for invitation in await asyncio.gather(*claims)].count(False) == 1
    clock.now += DAY_SECONDS - 1
    assert not await invitations.claim(CHANNEL, second, "gateway-9")
    clock.now += 1
    assert await invitations.claim(CHANNEL, second, "gateway-9")
    assert not await invitations.claim(CHANNEL, first, "gateway-8")


async def test_each_person_is_invited_on_their_own(store: Store, invitations: Invitations) -> None:
    for name in ("anna", "bruno"):
        assert await invitations.claim(CHANNEL, await reply_to(store, name), "gateway-1")


async def test_a_process_that_lost_the_answer_gets_it_again_for_a_minute(
    store: Store, invitations: Invitations, clock: Clock
) -> None:
    reply_id = await reply_to(store, "anna")
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    clock.now += REPEAT_SECONDS
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-2")
    clock.now += 1
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-1")


async def test_one_that_was_not_sent_is_withdrawn_by_its_process_alone(store: Store, invitations: Invitations) -> None:
    reply_id = await reply_to(store, "anna")
    await invitations.withdraw(CHANNEL, reply_id, "gateway-1")
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    for channel, process in ((CHANNEL, "gateway-2"), ("other", "gateway-1")):
        await invitations.withdraw(channel, reply_id, process)
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-2")
    await invitations.withdraw(CHANNEL, reply_id, "gateway-1")
    assert await invitations.claim(CHANNEL, reply_id, "gateway-2")


@pytest.mark.parametrize("later", ["anna", "bruno"])
async def test_of_two_people_who_are_one_the_later_invitation_counts(
    store: Store, invitations: Invitations, clock: Clock, later: str
) -> None:
    chats = {name: Chat(store, f"test:{name}") for name in ("anna", "bruno")}
    people = {name: (await chat.write()).person_id for name, chat in chats.items()}
    for name in sorted(chats, key=later.__eq__):
        assert await invitations.claim(CHANNEL, await chats[name].tell("a reminder"), "gateway-1")
        clock.now += 1000
    await store.merging.merge(people["bruno"], people["anna"], now=clock())
    reply_id = await chats["anna"].tell("another")
    clock.now += DAY_SECONDS - 1001
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-2")
    clock.now += 1
    assert await invitations.claim(CHANNEL, reply_id, "gateway-2")


async def test_an_unknown_reply_and_one_of_another_channel_invite_no_person(
    store: Store, invitations: Invitations
) -> None:
    assert not await invitations.claim(CHANNEL, "rp_unknown", "gateway-1")
    assert not await invitations.claim("other", await reply_to(store, "anna"), "gateway-1")


async def test_no_person_is_invited_for_a_reply_that_does_not_wait(store: Store, invitations: Invitations) -> None:
    reply_id = await reply_to(store, "anna")
    (lease,) = await pull(store)
    assert await ack(store, lease) is AckResult.RECORDED
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-1")


@pytest.mark.parametrize(
    ("kind", "reminder"), [(ScheduleKind.REMIND, Invitation("done")), (ScheduleKind.DO, Invitation())]
)
async def test_the_invitation_for_a_reminder_has_its_text(
    store: Store, invitations: Invitations, kind: ScheduleKind, reminder: Invitation
) -> None:
    person_id = await say(store, "hello")
    owner = await own(store, person_id)
    await owner.end(await owner.open())
    run = Scheduled("s_1", kind, "call Ada", NOW, "Europe/Vienna")
    await store.engine.write(
        lambda tx: own_messages.put(
            tx,
            person_id,
            channel=CHANNEL,
            address="",
            message_id="schedule:s_1:60",
            content=run,
            command=Command.REMINDER if kind is ScheduleKind.REMIND else Command.SCHEDULED,
            now=NOW,
        )
    )
    await owner.end(await owner.open())
    replies, _ = await store.admin.replies(person_id, limit=100, before="")
    assert await invitations.claim(CHANNEL, replies[0].id, "gateway-1") == reminder


async def held(store: Store, now: float = NOW, retry_after: float | None = None) -> tuple[Chat, str]:
    """A person, and their reply that a closed window holds."""
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("a reminder", now=now)
    (lease,) = await pull(store, now=now)
    result = await ack(store, lease, Outcome.WINDOW_CLOSED, now=now, retry_after=retry_after)
    assert result is AckResult.RECORDED
    return anna, reply_id


async def retried(store: Store, now: float) -> list[str]:
    """Look for held replies that are to be tried again, as the service does."""
    return await store.outbox.retry_held(
        asked_recently=now - ASKED_RECENTLY_SECONDS,
        asked_before=now - DAY_SECONDS,
        made_after=now - RETRY_DAYS * DAY_SECONDS,
        now=now,
    )


async def test_a_reply_whose_invitation_failed_comes_again_at_its_time(store: Store, invitations: Invitations) -> None:
    anna, reply_id = await held(store)
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    await invitations.withdraw(CHANNEL, reply_id, "gateway-1", 3600)
    assert await retried(store, NOW + 3599) == []
    assert (await anna.view(reply_id)).state == "held"
    assert await retried(store, NOW + 3600) == [CHANNEL]
    (lease,) = await pull(store, now=NOW + 3600)
    assert lease.reply.id == reply_id
    assert await ack(store, lease, Outcome.WINDOW_CLOSED, now=NOW + 3600) is AckResult.RECORDED
    assert await retried(store, NOW + 99_999) == []
    assert await invitations.claim(CHANNEL, reply_id, "gateway-2")


async def test_a_reply_comes_again_if_the_process_that_was_to_claim_died(
    store: Store, invitations: Invitations, clock: Clock
) -> None:
    _, reply_id = await held(store, retry_after=600)
    assert await retried(store, NOW + 599) == []
    assert await retried(store, NOW + 600) == [CHANNEL]
    clock.now += 600
    (lease,) = await pull(store, now=clock())
    assert await invitations.claim(CHANNEL, reply_id, "gateway-2")  # before its acknowledgement
    assert await ack(store, lease, Outcome.WINDOW_CLOSED, now=clock(), retry_after=600) is AckResult.RECORDED
    for seconds in (600, 23 * 3600, DAY_SECONDS, 2 * DAY_SECONDS):
        assert await retried(store, clock() + seconds) == []


@pytest.mark.parametrize("claim_first", [True, False])
async def test_a_reply_whose_person_is_invited_is_not_tried_again(
    store: Store, invitations: Invitations, *, claim_first: bool
) -> None:
    """Also if the service does not look for a day: a newer reminder replaces it as long as it is held."""
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("a reminder")
    (lease,) = await pull(store)
    if claim_first:
        assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    assert await ack(store, lease, Outcome.WINDOW_CLOSED, retry_after=600) is AckResult.RECORDED
    if not claim_first:
        assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    assert await retried(store, NOW + DAY_SECONDS) == []
    assert (await anna.view(reply_id)).state == "held"


async def test_a_late_report_of_a_closed_window_counts_as_well(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    reply_id = await anna.tell("a reminder")
    (lease,) = await pull(store)
    assert await ack(store, lease, channel_message_id="wamid.1") is AckResult.RECORDED
    await receipt(
        store,
        reply_id,
        "failed",
        channel_message_id="wamid.1",
        outcome=Outcome.WINDOW_CLOSED,
        retry_after=600,
    )
    assert await retried(store, NOW + 599) == []
    assert await retried(store, NOW + 600) == [CHANNEL]


async def test_a_reply_waits_for_the_invitation_that_may_be_granted_soon(
    store: Store, invitations: Invitations, clock: Clock
) -> None:
    """A reminder of each day is due a little before the day is over."""
    anna, reply_id = await held(store)
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    clock.now += DAY_SECONDS - 900
    await anna.tell("the next one", now=clock())
    (lease,) = await pull(store, now=clock())
    assert await ack(store, lease, Outcome.WINDOW_CLOSED, now=clock(), retry_after=600) is AckResult.RECORDED
    assert await retried(store, clock() + 600) == []
    assert await retried(store, clock() + 900) == [CHANNEL]


async def test_a_withdrawal_without_a_time_lets_the_reply_wait(store: Store, invitations: Invitations) -> None:
    _, reply_id = await held(store, retry_after=600)
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    await invitations.withdraw(CHANNEL, reply_id, "gateway-1")
    assert await retried(store, NOW + 600) == []


async def test_a_person_who_writes_before_gets_it_at_once(store: Store, invitations: Invitations) -> None:
    anna, reply_id = await held(store)
    await invitations.withdraw(CHANNEL, reply_id, "gateway-1", 3600)
    await anna.write()
    assert [lease.reply.id for lease in await pull(store)] == [reply_id]
    assert await retried(store, NOW + 3600) == []


@pytest.mark.parametrize(("channel", "retry_after", "days"), [("other", 1, 0), (CHANNEL, None, 0), (CHANNEL, 1, 3)])
async def test_other_replies_wait_until_the_person_writes(  # noqa: PLR0917 - the case
    store: Store, invitations: Invitations, clock: Clock, channel: str, retry_after: float | None, days: int
) -> None:
    """One of another channel, without a time, or too old."""
    _, reply_id = await held(store)
    clock.now += days * DAY_SECONDS
    await invitations.withdraw(channel, reply_id, "gateway-1", retry_after)
    assert await retried(store, clock() + DAY_SECONDS) == []


async def test_a_claim_that_is_not_granted_reports_when_it_may_be(
    store: Store, invitations: Invitations, clock: Clock
) -> None:
    _, reply_id = await held(store)
    assert await invitations.claim(CHANNEL, reply_id, "gateway-1")
    clock.now += DAY_SECONDS - 2
    assert not await invitations.claim(CHANNEL, reply_id, "gateway-2")
    assert await invitations.wait(CHANNEL, reply_id) == 2
    assert await invitations.wait("other", reply_id) is None
    assert await invitations.wait(CHANNEL, "rp_unknown") is None
