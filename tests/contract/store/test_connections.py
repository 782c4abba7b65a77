"""The owner of each session and of each account. On every engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from kernel_service.errors import NotFound
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.ports.deletion import RevocationKind
from kernel_service.storage.schema import schema
from tests.contract.store.outbox import NOW, Chat
from tests.contract.store.people import attempt

if TYPE_CHECKING:
    from kernel_service.storage.store import Store

LINK = "https://connect.example.org/link/lk_1"


def asana(person_id: str, number: int = 1) -> Connection:
    return Connection(
        id=f"cn_{number}",
        person_id=person_id,
        toolkit="asana",
        toolkit_name="Asana",
        account_id=f"ca_{number}",
        status=ConnectionStatus.PENDING,
        link=LINK,
        created_at=NOW + number,
    )


async def test_a_person_starts_without_a_session(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    assert await store.sessions.of_person(anna.person_id) is None
    assert await store.sessions.of_person("p_nobody") is None


async def test_a_session_is_stored_only_for_its_person(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    assert await store.sessions.keep(anna.person_id, "s1", "c") == "s1"
    assert await store.sessions.of_person(anna.person_id) == ("s1", "c")
    assert await store.sessions.of_person(bruno.person_id) is None


async def test_the_first_session_of_a_configuration_stays(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    made = [f"s{number}" for number in range(8)]
    kept = await asyncio.gather(*(store.sessions.keep(anna.person_id, each, "c") for each in made))
    assert len(set(kept)) == 1
    assert await store.sessions.of_person(anna.person_id) == (kept[0], "c")
    assert await unused(store) == {*made} - {kept[0]}
    assert await store.sessions.keep(anna.person_id, kept[0], "c") == kept[0]
    assert kept[0] not in await unused(store)


async def test_a_session_of_another_configuration_replaces_it(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    await store.sessions.keep(anna.person_id, "s1", "old")
    assert await store.sessions.keep(anna.person_id, "s2", "new") == "s2"
    assert await store.sessions.of_person(anna.person_id) == ("s2", "new")
    assert await unused(store) == {"s1"}


async def unused(store: Store) -> set[str]:
    """The sessions that the vendor must remove."""
    due = await store.revocations.due(limit=99)
    return {each.vendor_id for each in due if each.kind is RevocationKind.SESSION}


async def test_a_session_outlives_an_activation(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    await store.sessions.keep(anna.person_id, "s1", "c")
    await store.kernels.activate(anna.person_id, owner="one")
    assert await store.sessions.of_person(anna.person_id) == ("s1", "c")


async def test_a_session_of_an_unknown_person_is_not_stored(store: Store) -> None:
    with pytest.raises(NotFound) as nobody:
        await store.sessions.keep("p_nobody", "s1", "c")
    assert nobody.value.reason == "PERSON_NOT_FOUND"


async def test_connections_are_listed_for_their_person_oldest_first(store: Store) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    newer, older, of_bruno = asana(anna.person_id, 2), asana(anna.person_id, 1), asana(bruno.person_id, 3)
    for one in (newer, older, of_bruno):
        await store.connect_attempts.add(attempt(one), now=NOW)
    assert await store.connections.of_person(anna.person_id) == [older, newer]
    assert await store.connections.of_person(bruno.person_id) == [of_bruno]
    assert await store.connections.of_person("p_nobody") == []
    assert await store.connections.of_account("ca_3") == of_bruno
    assert await store.connections.of_account("ca_9") is None


@pytest.mark.parametrize(("connection_id", "account_id"), [("cn_1", "ca_2"), ("cn_2", "ca_1")])
async def test_a_connection_never_passes_to_another_person(store: Store, connection_id: str, account_id: str) -> None:
    anna, bruno = await Chat(store, "test:anna").write(), await Chat(store, "test:bruno").write()
    await store.connect_attempts.add(attempt(asana(anna.person_id)), now=NOW)
    stolen = replace(asana(bruno.person_id), id=connection_id, account_id=account_id)
    with pytest.raises(IntegrityError):
        await store.connect_attempts.add(attempt(stolen), now=NOW)
    assert await store.connections.of_person(anna.person_id) == [asana(anna.person_id)]
    assert await store.connections.of_person(bruno.person_id) == []


async def test_a_connection_is_barred_once_and_its_attempt_with_it(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    await store.connect_attempts.add(attempt(asana(anna.person_id)), now=NOW)
    barred = replace(asana(anna.person_id), status=ConnectionStatus.DISCONNECTED, link="", remove_due=True)
    again = [await store.connections.bar(asana(anna.person_id), barred.status, remove=True) for _ in range(2)]
    assert again == [barred, None]
    assert await store.connections.of_person(anna.person_id) == [barred]
    assert await store.connect_attempts.live(anna.person_id) == []
    assert list(await store.connections.to_remove(limit=9)) == [barred]
    await store.connections.mark_removed(barred.id, barred.account_id)
    assert list(await store.connections.to_remove(limit=9)) == []


async def test_barring_reports_the_account_at_that_time(store: Store) -> None:
    """A person disconnects while the browser is at the vendor: the account arrived after the check."""
    anna = await Chat(store, "test:anna").write()
    looked_at = replace(asana(anna.person_id), account_id="", name="work")
    claimed = replace(attempt(looked_at), state=ConnectAttemptState.CLAIMED)
    await store.connect_attempts.add(claimed, now=NOW)
    started = replace(claimed, state=ConnectAttemptState.STARTED, connection=replace(looked_at, account_id="ca_1"))
    assert await store.connect_attempts.advance(started, was=ConnectAttemptState.CLAIMED)
    barred = await store.connections.bar(looked_at, ConnectionStatus.DISCONNECTED, remove=True)
    assert barred is not None
    assert (barred.account_id, barred.remove_due, barred.name) == ("ca_1", True, "work")
    assert await store.connections.of_person(anna.person_id) == [barred]


@pytest.mark.parametrize(("account_id", "remove"), [("", True), ("ca_1", False)])
async def test_a_connection_without_an_account_needs_no_removal(store: Store, account_id: str, *, remove: bool) -> None:
    anna = await Chat(store, "test:anna").write()
    connection = replace(asana(anna.person_id), account_id=account_id)
    await store.connect_attempts.add(attempt(connection), now=NOW)
    assert await store.connections.bar(connection, ConnectionStatus.EXPIRED, remove=remove)
    assert list(await store.connections.to_remove(limit=9)) == []


async def test_an_account_is_removed_page_by_page_and_without_its_persons_key(store: Store) -> None:
    anna = await Chat(store, "test:anna").write()
    for number in (1, 2, 3):
        due = replace(asana(anna.person_id, number), status=ConnectionStatus.DISCONNECTED, remove_due=True, name="work")
        await store.connect_attempts.add(attempt(due), now=NOW)
    await store.engine.write(lambda tx: tx.execute(update(schema.connection).values(private=b"damaged")))
    assert [one.account_id for one in await store.connections.to_remove(limit=2)] == ["ca_1", "ca_2"]
    assert [one.account_id for one in await store.connections.to_remove(after="cn_2", limit=2)] == ["ca_3"]


async def test_a_chat_link_is_the_channels_latest(store: Store) -> None:
    person_id = (await Chat(store, "test:anna").write()).person_id
    for link in ("https://one.example/{text}", "https://two.example/{text}"):
        await store.chats.keep_link(person_id, "test", "desk", link)
    await store.chats.keep_link(person_id, "other", "desk", "https://three.example/{text}")
    assert await store.chats.link("test", "desk") == "https://two.example/{text}"
    assert await store.chats.link("test", "elsewhere") == ""
