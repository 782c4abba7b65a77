"""Ids that are replaced: the person stays the same, and a stranger with their old number learns nothing."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.messages import Alias, Reply
from kernel_service.ports.people import LinkOutcome
from tests.contract.store.people import ADDRESS, NOW, answer, connect, history, person, recipients, strong, weak, write

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

LINKED, MERGED, KEPT_APART, UNKNOWN = LinkOutcome
OLD, NEW = strong("US.1"), strong("US.2")
PHONE, SECOND_PHONE = weak("+1"), weak("+2")
LATER = NOW + 60
DAY = 86_400.0


async def link(store: Store, previous: Alias, current: Alias, *, now: float = LATER) -> LinkOutcome:
    return (await store.merging.link(previous, current, now=now)).outcome


async def notice(store: Store, person_id: str, text: str) -> None:
    await store.outbox.notify(person_id, Reply(text), channel="test", address=ADDRESS, now=NOW)


# --- a strong id changes --------------------------------------------------------------------------------------------


async def test_reported_before_the_first_message_under_the_new_id(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    account = await connect(store, anna)
    assert await link(store, OLD, NEW) is LINKED
    assert (await write(store, NEW, SECOND_PHONE, now=LATER)).person_id == anna
    assert await store.connections.of_person(anna) == [account]
    assert await history(store, anna) == ["hello", ""]


async def test_reported_after_the_first_message_under_the_new_id(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    account = await connect(store, anna)
    other = await write(store, NEW, SECOND_PHONE, text="it is me", now=NOW + 1)
    assert other.person_id != anna
    assert await link(store, OLD, NEW) is MERGED
    assert await store.people.last_person_of(NEW.user_id) == anna
    assert await store.people.surviving(other.person_id) == anna
    assert (await write(store, NEW, SECOND_PHONE, text="still me", now=LATER)).person_id == anna
    assert await store.connections.of_person(anna) == [account]
    await answer(store, anna, "both answered", now=LATER)
    assert await history(store, anna) == ["hello", "", "it is me", "still me", "both answered"]
    assert await recipients(store, now=LATER) == [("both answered", NEW.user_id)]


async def test_reported_repeatedly(store: Store) -> None:
    anna = await person(store, OLD)
    await write(store, NEW, now=NOW + 1)
    told = [await store.merging.link(OLD, NEW, now=LATER + n) for n in range(3)]
    assert [one.outcome for one in told] == [MERGED, LINKED, LINKED]
    assert [one.is_new for one in told] == [True, False, False]
    assert await store.people.last_person_of(OLD.user_id) == await store.people.last_person_of(NEW.user_id) == anna


async def test_reported_by_twenty_callers_while_messages_arrive_under_both_ids(store: Store) -> None:
    anna = await person(store, OLD)
    writing = [write(store, one, now=LATER) for one in (OLD, NEW) * 10]
    telling = [link(store, OLD, NEW) for _ in range(20)]
    await asyncio.gather(*(deed for pair in zip(writing, telling, strict=True) for deed in pair))
    assert await store.people.last_person_of(NEW.user_id) == anna
    _, waiting, _ = await store.admin.turns(anna, limit=10, before="")
    assert len(waiting) == 20


async def test_a_change_of_an_unknown_id_changes_nothing_yet(store: Store) -> None:
    assert await link(store, OLD, NEW) is UNKNOWN
    assert await store.people.last_person_of(NEW.user_id) is None
    stranger = await person(store, NEW)
    assert await link(store, OLD, NEW) is UNKNOWN
    assert await store.people.last_person_of(NEW.user_id) == stranger


async def test_an_id_that_becomes_itself_is_linked_already(store: Store) -> None:
    anna = await person(store, OLD)
    await notice(store, anna, "news")
    assert await link(store, OLD, OLD) is LINKED
    assert await recipients(store) == [("news", OLD.user_id)]


async def test_ids_of_another_scope_are_different_ids(store: Store) -> None:
    anna = await person(store, strong("US.1", "portfolio"))
    assert await link(store, OLD, NEW) is UNKNOWN
    assert await link(store, strong("US.1", "portfolio"), strong("US.2", "portfolio")) is LINKED
    assert (await write(store, strong("US.2", "portfolio"))).person_id == anna
    assert (await write(store, NEW)).person_id != anna


async def test_a_chain_of_changes_ends_at_the_same_person(store: Store) -> None:
    anna = await person(store, OLD)
    third = strong("US.3")
    await notice(store, anna, "news")
    assert [await link(store, OLD, NEW), await link(store, NEW, third)] == [LINKED, LINKED]
    assert await recipients(store) == [("news", third.user_id)]
    assert {await store.people.last_person_of(one.user_id) for one in (OLD, NEW, third)} == {anna}


async def test_a_change_and_its_reversal(store: Store) -> None:
    anna = await person(store, OLD)
    await notice(store, anna, "news")
    assert [await link(store, OLD, NEW), await link(store, NEW, OLD), await link(store, OLD, NEW)] == [LINKED] * 3
    assert await recipients(store) == [("news", OLD.user_id)]  # the third report was a repeat of the first


async def test_an_older_person_of_the_new_id_remains(store: Store) -> None:
    first = await person(store, NEW)
    second = await person(store, OLD, now=NOW + 1)
    assert await link(store, OLD, NEW) is MERGED
    assert await store.people.surviving(second) == first


# --- reported before the change that made the previous id ----------------------------------------------------------

THIRD, FOURTH = strong("US.3"), strong("US.4")
CHAIN = [(OLD, NEW), (NEW, THIRD), (THIRD, FOURTH)]


@pytest.mark.parametrize("order", [*itertools.permutations(CHAIN)])
@pytest.mark.parametrize("times", [1, 2])
async def test_a_chain_reported_in_any_order_ends_at_the_same_person(
    store: Store, order: tuple[tuple[Alias, Alias], ...], times: int
) -> None:
    anna = await person(store, OLD, PHONE)
    account = await connect(store, anna)
    await notice(store, anna, "news")
    for previous, current in order:
        for _ in range(times):
            await link(store, previous, current)
    assert (await write(store, FOURTH, SECOND_PHONE, now=LATER)).person_id == anna
    assert await store.connections.of_person(anna) == [account]
    assert await recipients(store) == [("news", FOURTH.user_id)]
    assert {await store.people.last_person_of(one.user_id) for one in (OLD, NEW, THIRD, FOURTH)} == {anna}
    assert [await link(store, previous, current) for previous, current in order] == [LINKED] * 3


async def test_reported_too_early_and_after_the_first_message_under_the_last_id(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    account = await connect(store, anna)
    assert await link(store, NEW, THIRD) is UNKNOWN
    other = await person(store, THIRD, SECOND_PHONE, now=NOW + 1)
    linked = await store.merging.link(OLD, NEW, now=LATER)
    assert (linked.outcome, [(one.outcome, one.merged_id) for one in linked.then]) == (LINKED, [(MERGED, other)])
    assert await store.people.last_person_of(THIRD.user_id) == anna
    assert await store.connections.of_person(anna) == [account]
    assert (await store.merging.link(OLD, NEW, now=LATER)).then == ()


async def test_reported_too_early_for_a_person_with_connections_is_kept_apart(store: Store) -> None:
    anna = await person(store, OLD)
    await link(store, NEW, THIRD)
    other = await person(store, THIRD, now=NOW + 1)
    for one in (anna, other):
        await connect(store, one)
    [then] = (await store.merging.link(OLD, NEW, now=LATER)).then
    assert (then.outcome, then.person_id, then.other_id, then.is_new) == (KEPT_APART, anna, other, True)
    assert (await store.people.last_person_of(NEW.user_id), await store.people.last_person_of(THIRD.user_id)) == (
        anna,
        other,
    )
    assert await link(store, NEW, THIRD) is KEPT_APART


async def test_reported_too_early_and_again_after_a_message_under_the_previous_id(store: Store) -> None:
    assert await link(store, NEW, THIRD) is UNKNOWN
    anna = await person(store, NEW)
    assert [await link(store, NEW, THIRD) for _ in range(2)] == [LINKED] * 2
    assert await store.people.last_person_of(THIRD.user_id) == anna


async def test_cycles_that_were_reported_too_early_terminate(store: Store) -> None:
    anna = await person(store, OLD)
    for previous, current in [(NEW, THIRD), (THIRD, NEW), (NEW, NEW), (THIRD, OLD)]:
        assert await link(store, previous, current) is UNKNOWN
    assert await link(store, OLD, NEW) is LINKED
    assert {await store.people.last_person_of(one.user_id) for one in (OLD, NEW, THIRD)} == {anna}


async def test_reported_concurrently(store: Store) -> None:
    for run in range(10):
        ids = [strong(f"US.{run}.{number}") for number in range(4)]
        anna = await person(store, ids[0])
        await asyncio.gather(*(link(store, ids[n], ids[n + 1]) for n in (2, 1, 0)))
        assert await store.people.last_person_of(ids[3].user_id) == anna


async def test_early_reports_are_deleted_after_their_retention(store: Store) -> None:
    await link(store, NEW, THIRD)
    await store.retention.forget_old(now=LATER + 60 * DAY)
    anna = await person(store, OLD)
    await link(store, OLD, NEW)
    assert (await store.people.last_person_of(NEW.user_id), await store.people.last_person_of(THIRD.user_id)) == (
        anna,
        None,
    )


async def test_early_reports_never_involve_numbers(store: Store) -> None:
    anna = await person(store, OLD)
    early = [(NEW, PHONE), (PHONE, SECOND_PHONE), (PHONE, THIRD), (NEW, Alias(SECOND_PHONE.user_id))]
    assert [await link(store, previous, current) for previous, current in early] == [UNKNOWN] * 4
    stranger = await person(store, strong("US.9"), SECOND_PHONE)
    await notice(store, anna, "news for anna")
    assert await link(store, OLD, NEW) is LINKED
    assert await store.people.last_person_of(SECOND_PHONE.user_id) == stranger
    assert await store.people.last_person_of(PHONE.user_id) is await store.people.last_person_of(THIRD.user_id) is None
    assert await recipients(store) == [("news for anna", NEW.user_id)]


# --- recipients of replies -----------------------------------------------------------------------------------------


async def test_a_pending_reply_follows_its_person_to_the_new_id(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    await notice(store, anna, "news")
    await link(store, OLD, NEW)
    assert await recipients(store) == [("news", NEW.user_id)]


async def test_a_number_used_before_does_not_outrank_the_new_id(store: Store) -> None:
    anna = await person(store, PHONE)
    assert (await write(store, OLD, PHONE)).person_id == anna
    await notice(store, anna, "news")
    await link(store, OLD, NEW)
    assert await recipients(store) == [("news", NEW.user_id)]


async def test_a_reply_for_the_former_owner_of_a_number_never_goes_to_its_next_one(store: Store) -> None:
    anna = await person(store, PHONE)
    await notice(store, anna, "news for anna")
    assert await link(store, PHONE, SECOND_PHONE) is LINKED
    bruno = await person(store, PHONE, now=LATER)
    await notice(store, bruno, "news for bruno")
    assert sorted(await recipients(store)) == [
        ("news for anna", SECOND_PHONE.user_id),
        ("news for bruno", PHONE.user_id),
    ]


async def test_a_reply_held_without_a_recipient_goes_to_the_new_id(store: Store) -> None:
    anna = await person(store, OLD)
    await link(store, weak("US.1"), PHONE)
    await person(store, strong("US.9"), PHONE, now=LATER)
    await notice(store, anna, "news")
    assert await recipients(store) == []
    await link(store, OLD, NEW)
    assert await recipients(store) == [("news", NEW.user_id)]


# --- recycled numbers ----------------------------------------------------------------------------------------------


async def test_a_stranger_with_the_recycled_number_gets_nothing_of_its_former_owner(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    await connect(store, anna)
    await link(store, OLD, NEW)
    await notice(store, anna, "news for anna")
    stranger = (await write(store, strong("US.9"), PHONE, now=LATER)).person_id
    assert stranger != anna
    assert await store.connections.of_person(stranger) == []
    assert await history(store, stranger) == []
    assert await recipients(store) == [("news for anna", NEW.user_id)]


async def test_a_replaced_number_no_longer_identifies_its_former_owner(store: Store) -> None:
    anna = await person(store, PHONE)
    assert await link(store, PHONE, SECOND_PHONE) is LINKED
    assert await store.people.last_person_of(PHONE.user_id) is None
    assert (await write(store, SECOND_PHONE, now=LATER)).person_id == anna
    stranger = (await write(store, PHONE, now=LATER)).person_id
    assert stranger != anna
    assert await store.people.last_person_of(PHONE.user_id) == stranger


async def test_a_notice_repeated_after_the_number_was_recycled_does_not_merge_the_stranger(
    store: Store,
) -> None:
    anna = await person(store, PHONE)
    await link(store, PHONE, SECOND_PHONE)
    stranger = await person(store, PHONE, now=LATER)
    assert await link(store, PHONE, SECOND_PHONE, now=LATER + 7 * DAY) is LINKED
    assert await store.people.surviving(stranger) == stranger
    assert await store.people.last_person_of(SECOND_PHONE.user_id) == anna


async def test_after_its_retention_a_notice_counts_as_new(store: Store) -> None:
    anna = await person(store, PHONE)
    await link(store, PHONE, SECOND_PHONE)
    stranger = await person(store, PHONE, now=LATER)
    third = weak("+3")
    await link(store, SECOND_PHONE, third)
    await store.retention.forget_old(now=LATER + 7 * DAY)
    assert await link(store, PHONE, SECOND_PHONE, now=LATER + 7 * DAY) is LINKED
    assert await store.people.last_person_of(SECOND_PHONE.user_id) is None
    for day in (25, 50):  # the stranger has not been silent long enough to lose the number
        assert (await write(store, PHONE, now=LATER + day * DAY)).person_id == stranger
    await store.retention.forget_old(now=LATER + 60 * DAY)
    assert await link(store, PHONE, SECOND_PHONE, now=LATER + 60 * DAY) is LINKED
    assert await store.people.last_person_of(SECOND_PHONE.user_id) == stranger
    assert await store.people.last_person_of(third.user_id) == anna


async def test_a_number_alone_never_affects_a_person_with_a_strong_id(store: Store) -> None:
    anna = await person(store, OLD, PHONE)
    assert await link(store, PHONE, NEW) is UNKNOWN
    assert (await write(store, NEW, now=LATER)).person_id != anna


async def test_an_id_stored_as_weak_stays_weak_although_reported_as_strong(store: Store) -> None:
    await person(store, OLD, PHONE)
    assert await link(store, Alias(PHONE.user_id), NEW) is UNKNOWN
    assert await link(store, weak("US.1"), NEW) is LINKED  # reported as weak, but they have no other strong one


async def test_a_number_never_replaces_a_strong_id(store: Store) -> None:
    anna = await person(store, OLD)
    await notice(store, anna, "news for anna")
    assert [await link(store, OLD, PHONE) for _ in range(2)] == [UNKNOWN] * 2
    assert (await write(store, PHONE, now=LATER)).person_id != anna
    assert await recipients(store) == [("news for anna", OLD.user_id)]


async def test_a_person_known_only_by_number_gets_a_strong_id(store: Store) -> None:
    anna = await person(store, PHONE)
    assert await link(store, PHONE, NEW) is LINKED
    assert (await write(store, NEW, SECOND_PHONE, now=LATER)).person_id == anna


async def test_a_number_moves_to_the_person_in_the_report(store: Store) -> None:
    anna, bruno = await person(store, SECOND_PHONE), await person(store, NEW, PHONE)
    assert await link(store, SECOND_PHONE, PHONE) is LINKED
    assert await store.people.last_person_of(PHONE.user_id) == anna
    assert await store.people.ids_in(bruno, "test") == [NEW]


async def test_of_two_people_known_only_by_number_the_newer_is_merged(store: Store) -> None:
    anna, newer = await person(store, PHONE), await person(store, SECOND_PHONE, now=NOW + 1)
    assert await link(store, PHONE, SECOND_PHONE) is MERGED
    assert await store.people.surviving(newer) == anna


async def test_two_people_known_only_by_number_with_connections_are_kept_apart_and_the_number_is_given_up(
    store: Store,
) -> None:
    anna, other = await person(store, PHONE), await person(store, SECOND_PHONE, now=NOW + 1)
    for one in (anna, other):
        await connect(store, one)
    await notice(store, anna, "news for anna")
    assert [await link(store, PHONE, SECOND_PHONE) for _ in range(2)] == [KEPT_APART] * 2
    stranger = await person(store, PHONE, now=LATER)
    assert stranger not in (anna, other)
    assert await recipients(store) == []
    await store.merging.merge(anna, other, now=LATER)
    assert await recipients(store) == [("news for anna", SECOND_PHONE.user_id)]


async def test_a_rejected_change_stays_rejected_for_the_numbers_next_owner(store: Store) -> None:
    await person(store, OLD, PHONE)
    assert await link(store, PHONE, NEW) is UNKNOWN
    stranger = await person(store, PHONE, now=LATER)
    assert await link(store, PHONE, NEW) is UNKNOWN
    assert (await write(store, NEW, now=LATER)).person_id != stranger


# --- both have connections ------------------------------------------------------------------------------------------


async def test_two_people_with_connections_are_kept_apart(store: Store) -> None:
    anna, other = await person(store, OLD), await person(store, NEW, now=NOW + 1)
    of_anna, of_other = await connect(store, anna), await connect(store, other, ConnectionStatus.UNCONFIRMED)
    await notice(store, anna, "news")
    told = [await store.merging.link(OLD, NEW, now=LATER) for _ in range(2)]
    assert [(one.outcome, one.person_id, one.other_id, one.is_new) for one in told] == [
        (KEPT_APART, anna, other, True),
        (KEPT_APART, anna, other, False),
    ]
    assert await store.connections.of_person(anna) == [of_anna]
    assert await store.connections.of_person(other) == [of_other]
    assert await recipients(store) == [("news", OLD.user_id)]
    assert (await store.merging.kept_apart_from(anna), await store.merging.kept_apart_from(other)) == ([other], [anna])
    assert await store.merging.kept_apart_pairs() == 1


async def test_an_operator_merges_people_who_were_kept_apart(store: Store) -> None:
    anna, other = await person(store, OLD), await person(store, NEW, now=NOW + 1)
    for one in (anna, other):
        await connect(store, one)
    await link(store, OLD, NEW)
    assert (await store.merging.merge(other, anna, now=LATER)).person_id == anna
    assert await store.merging.kept_apart_pairs() == 0
    assert await link(store, OLD, NEW) is LINKED
    assert len(await store.connections.of_person(anna)) == 2


@pytest.mark.parametrize("status", [ConnectionStatus.PENDING, ConnectionStatus.EXPIRED, ConnectionStatus.DISCONNECTED])
async def test_connections_without_access_keep_no_people_apart(store: Store, status: ConnectionStatus) -> None:
    anna, other = await person(store, OLD), await person(store, NEW, now=NOW + 1)
    await connect(store, anna)
    await connect(store, other, status)
    assert await link(store, OLD, NEW) is MERGED
    assert {one.holder for one in await store.connections.of_person(anna)} == {anna, other}


async def test_the_newer_persons_connections_move_if_the_older_has_none(store: Store) -> None:
    anna, other = await person(store, OLD), await person(store, NEW, now=NOW + 1)
    account = await connect(store, other)
    assert await link(store, OLD, NEW) is MERGED
    [kept] = await store.connections.of_person(anna)
    assert (kept.id, kept.person_id, kept.holder) == (account.id, anna, other)
