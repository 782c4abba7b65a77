"""A phone number passes to a stranger after a silence, and nothing of its former owner goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from kernel_service.errors import AlreadyExists, Conflict
from kernel_service.ports.messages import Alias, Message, ReplyMode
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.people import LinkOutcome
from kernel_service.ports.weak_ids import WeakIdExpiry
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.people import ADDRESS, NOW, answer, connect, history, person, recipients, strong, weak, write

if TYPE_CHECKING:
    from kernel_service.ports.inbox import Accepted
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.store import Store

PHONE, SECOND_PHONE, BSUID = weak("+1"), weak("+2"), strong("US.1")
DAY = 86_400.0
FCC = 45 * DAY
"""The shortest time after which a carrier of the United States reassigns a number."""
SHORT = 20 * DAY


@pytest.mark.parametrize("ids", [(PHONE,), (BSUID, PHONE), (PHONE, BSUID), (PHONE, SECOND_PHONE)])
async def test_a_message_from_a_number_after_a_long_silence_creates_a_new_person(
    store: Store, ids: tuple[Alias, ...]
) -> None:
    anna = await person(store, PHONE)
    await connect(store, anna)
    stranger = (await write(store, *ids, now=NOW + FCC)).person_id
    assert stranger != anna
    assert await store.connections.of_person(stranger) == []
    assert await history(store, stranger) == []
    assert {one.user_id for one in await store.people.ids_in(stranger, "test")} == {one.user_id for one in ids}
    assert await store.people.ids_in(anna, "test") == []


@pytest.mark.parametrize("ids", [(PHONE,), (BSUID, PHONE)])
async def test_a_short_silence_changes_nothing(store: Store, ids: tuple[Alias, ...]) -> None:
    anna = await person(store, PHONE)
    account = await connect(store, anna)
    assert (await write(store, *ids, now=NOW + SHORT)).person_id == anna
    assert await store.connections.of_person(anna) == [account]


async def test_silence_counts_from_the_last_message(store: Store) -> None:
    anna = await person(store, PHONE)
    for times in range(1, 6):
        assert (await write(store, PHONE, now=NOW + times * SHORT)).person_id == anna
    assert (await write(store, PHONE, now=NOW + 5 * SHORT + FCC)).person_id != anna


async def test_a_flood_of_messages_records_once_a_day_that_the_number_is_in_use(store: Store) -> None:
    await person(store, PHONE)
    noted = set()
    for hour in range(25, 49):
        await write(store, PHONE, now=NOW + hour * 3600)
        noted.add(await store.engine.read(_heard_at))
    assert noted == {NOW + 25 * 3600}


async def test_a_strong_id_identifies_its_person_after_any_silence_and_regains_its_number(store: Store) -> None:
    anna = await person(store, BSUID, PHONE)
    assert (await write(store, BSUID, PHONE, now=NOW + 400 * DAY)).person_id == anna
    assert await store.people.ids_in(anna, "test") == [BSUID, PHONE]


async def test_replies_for_the_former_owner_never_go_to_the_next(store: Store) -> None:
    anna = (await write(store, PHONE)).person_id
    await answer(store, anna, "news for anna")
    await write(store, PHONE, now=NOW + FCC)
    assert await recipients(store, now=NOW + FCC) == []


async def test_a_notice_about_a_silent_number_reveals_nothing_of_its_former_owner(store: Store) -> None:
    anna = await person(store, PHONE)
    assert (await store.merging.link(PHONE, SECOND_PHONE, now=NOW + FCC)).outcome is LinkOutcome.UNKNOWN
    assert (await store.merging.link(PHONE, BSUID, now=NOW + FCC)).outcome is LinkOutcome.UNKNOWN
    assert (await write(store, BSUID, SECOND_PHONE, now=NOW + FCC)).person_id != anna


async def test_a_number_from_a_notice_is_silent_since_the_notice(store: Store) -> None:
    anna = await person(store, PHONE)
    assert (await store.merging.link(PHONE, SECOND_PHONE, now=NOW + SHORT)).outcome is LinkOutcome.LINKED
    assert (await write(store, SECOND_PHONE, now=NOW + 2 * SHORT)).person_id == anna
    assert (await write(store, SECOND_PHONE, now=NOW + 2 * SHORT + FCC)).person_id != anna


async def test_a_number_once_given_as_strong_counts_as_weak_from_its_first_weak_use(store: Store) -> None:
    careless = Alias(PHONE.user_id)
    anna = await person(store, careless)
    # the channel was corrected; no person loses anything
    assert (await write(store, PHONE, now=NOW + FCC)).person_id == anna
    await write(store, PHONE, now=NOW + FCC + 2 * DAY)
    assert (await write(store, PHONE, now=NOW + 3 * FCC)).person_id != anna


@pytest.mark.parametrize("days", [0.5, 7, 365])
async def test_the_silence_is_configurable(database_url: str, days: float) -> None:
    store = await open_store(database_url, keys("test"), weak_ids=WeakIdExpiry(days))
    anna = await person(store, PHONE)
    assert (await write(store, PHONE, now=NOW + 0.9 * days * DAY)).person_id == anna
    assert (await write(store, PHONE, now=NOW + 2 * days * DAY)).person_id != anna
    await store.close()


# --- lookup of a bare id, as in CreateConnectLink, ListConnections and Disconnect --------------------------------


async def test_a_bare_number_matches_no_person_with_a_strong_id(store: Store) -> None:
    anna = await person(store, BSUID, PHONE)
    assert await store.people.person_of(PHONE.user_id, now=NOW) is None
    assert await store.people.person_of(BSUID.user_id, now=NOW + 400 * DAY) == anna
    assert await store.people.last_person_of(PHONE.user_id) == anna


async def test_a_bare_number_matches_the_same_person_as_in_a_message(store: Store) -> None:
    anna = await person(store, PHONE)
    assert await store.people.person_of(PHONE.user_id, now=NOW + SHORT) == anna
    assert await store.people.person_of(PHONE.user_id, now=NOW + FCC) is None
    assert await store.people.person_of(SECOND_PHONE.user_id, now=NOW) is None


async def test_a_replaced_number_matches_no_person(store: Store) -> None:
    await person(store, PHONE)
    await store.merging.link(PHONE, SECOND_PHONE, now=NOW)
    assert await store.people.person_of(PHONE.user_id, now=NOW) is None


async def test_a_strong_id_of_one_scope_precedes_a_weak_one_of_another(store: Store) -> None:
    await person(store, weak("5", "one"))
    anna = await person(store, strong("5", "two"))
    assert await store.people.person_of("test:5", now=NOW) == anna


@pytest.mark.parametrize("kind", [strong, weak])
async def test_an_id_of_two_people_in_two_scopes_matches_neither(store: Store, kind: type) -> None:
    for scope in ("one", "two"):
        await person(store, kind("5", scope))
    with pytest.raises(Conflict) as conflict:
        await store.people.person_of("test:5", now=NOW)
    assert conflict.value.reason == "IDENTITY_CONFLICT"


# --- the same message id, from another person ------------------------------------------------------------------


async def _send(store: Store, *ids: Alias, now: float = NOW, words: str = "hello") -> Accepted:
    content = Payload(Text(words))
    message = Message(ids[0].user_id, "1", content, aliases=ids, address=ADDRESS, reply_mode=ReplyMode.INLINE)
    return await store.inbox.accept(message, now=now, max_pending=100)


@pytest.mark.parametrize("words", ["hello", "other words"])
async def test_a_message_id_of_the_former_owner_reveals_no_answer(store: Store, words: str) -> None:
    anna = await _send(store, PHONE)
    with pytest.raises(AlreadyExists) as reused:
        await _send(store, PHONE, now=NOW + FCC, words=words)
    assert reused.value.reason == "MESSAGE_ID_REUSED"
    assert [one.user_id for one in await store.people.ids_in(anna.person_id, "test")] == [
        PHONE.user_id
    ]  # it changed nothing


async def test_a_message_id_is_no_repeat_once_its_number_has_another_owner(store: Store) -> None:
    await _send(store, PHONE)
    stranger = (await write(store, PHONE, now=NOW + FCC)).person_id
    with pytest.raises(AlreadyExists):
        await _send(store, PHONE, now=NOW + FCC)
    assert await store.people.person_of(PHONE.user_id, now=NOW + FCC) == stranger


async def test_a_repeat_of_the_same_person_is_recognised_and_moves_no_number_back(store: Store) -> None:
    first = await _send(store, BSUID, PHONE)
    bob = (await write(store, strong("US.2"), PHONE, now=NOW + 1)).person_id
    again = await _send(store, BSUID, PHONE, now=NOW + 2)
    assert (again.duplicate, again.seq) == (True, first.seq)
    assert PHONE in await store.people.ids_in(bob, "test")


async def test_a_merged_persons_message_is_a_repeat_for_the_remaining_person(store: Store) -> None:
    first, other = await _send(store, PHONE), await person(store, SECOND_PHONE, now=NOW - 1)
    await store.merging.merge(first.person_id, other, now=NOW)
    again = await _send(store, PHONE, now=NOW + 1)
    assert (again.duplicate, again.person_id) == (True, other)


def _heard_at(tx: Tx) -> float:
    return float(tx.execute(text("SELECT heard_at FROM alias")).scalar_one())
