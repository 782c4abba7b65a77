from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service.errors import NotFound, VendorUnavailable
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.tools import Person
from tests.unit.composio.fakes import nonce_of

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection
    from tests.unit.composio.fakes import World

ACCOUNTS = matching(path="/connected_accounts")


async def test_a_confirmed_account_is_only_its_persons(world: World) -> None:
    alice = await world.connect("p_alice")
    assert not await world.connections.active("p_bob", "asana")
    bob = await world.connect("p_bob")
    assert alice.account_id != bob.account_id
    assert await world.connections.active("p_alice", "asana") == [alice]
    assert await world.connections.active("p_bob", "asana") == [bob]


async def test_an_account_of_a_toolkit_that_is_no_longer_allowed(world: World) -> None:
    await world.connect("p_alice")
    world.restart("gmail")
    assert not await world.connections.active("p_alice", "asana")


async def test_connections_are_listed_without_asking_the_vendor(world: World) -> None:
    await world.connect("p_alice")
    await world.code("p_alice", "gmail")
    before = len(world.vendor.requests)
    states = {each.toolkit: each.status for each in await world.connections.list("p_alice")}
    assert states == {"asana": ConnectionStatus.ACTIVE, "gmail": ConnectionStatus.UNCONFIRMED}
    assert len(world.vendor.requests) == before


async def test_an_account_ended_by_composio_is_recorded_as_expired(world: World) -> None:
    connection = await world.connect("p_alice")
    assert await world.connections.still_connected("p_alice", "asana")
    world.vendor.expire(connection.account_id)
    assert not await world.connections.still_connected("p_alice", "asana")
    assert not await world.connections.active("p_alice", "asana")
    await world.attempt_closer.sweep()
    assert not world.vendor.accounts_of("p_alice"), "its grant is removed as well"


async def test_an_account_unknown_to_composio_is_not_removed_there(world: World) -> None:
    connection = await world.connect("p_alice")
    await world.composio.delete_account(connection.account_id)
    assert not await world.connections.still_connected("p_alice", "asana")
    assert not await world.connections.active("p_alice", "asana")
    assert not await world.store.connections.to_remove(limit=9)


async def test_an_account_reported_as_expired_ends_once(world: World) -> None:
    connection = await world.connect("p_alice")
    assert await world.connections.in_use(connection.account_id, "p_bob") is None, "the account is not Bob's"
    assert await world.connections.in_use("ca_unknown00000", "p_alice") is None
    assert await world.connections.in_use(connection.account_id, "p_alice") == connection
    assert await asyncio.gather(*(world.connections.expire(connection) for _ in range(2))) == [True, False]
    assert await world.connections.in_use(connection.account_id, "p_alice") is None
    assert not await world.connections.active("p_alice", "asana")
    await world.attempt_closer.sweep()
    assert not world.vendor.accounts_of("p_alice"), "its grant is removed as well"


# --- removing ---------------------------------------------------------------------------------------------------


async def test_disconnect(world: World) -> None:
    connection = await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    (removed,) = await world.connections.disconnect("p_alice", connection_id=connection.id)
    assert removed.status is ConnectionStatus.DISCONNECTED
    assert [each.toolkit for each in await world.connections.list("p_alice")] == ["gmail"]
    assert [account.toolkit for account in world.vendor.accounts_of("p_alice")] == ["gmail"]
    (again,) = await world.connections.disconnect("p_alice", connection_id=connection.id)
    assert again.status is ConnectionStatus.DISCONNECTED


async def test_disconnect_bars_first_and_removes_later(world: World) -> None:
    await world.connect("p_alice")
    world.vendor.fail(500, match=ACCOUNTS)
    with pytest.raises(VendorUnavailable):
        await world.connections.disconnect("p_alice", toolkit="asana")
    assert not await world.connections.active("p_alice", "asana")
    assert world.vendor.accounts_of("p_alice")
    await world.attempt_closer.sweep()
    assert not world.vendor.accounts_of("p_alice")


async def test_disconnect_while_the_browser_goes_on_to_the_vendor(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = await world.connect_links.link(Person("p_alice", "test", "desk"), "asana")
    looked = world.store.connections.of_person

    async def look_then_start(person_id: str) -> list[Connection]:
        found = await looked(person_id)
        monkeypatch.undo()
        await world.consent.start(nonce_of(offer.link.url), "browser")
        return found

    monkeypatch.setattr(world.store.connections, "of_person", look_then_start)
    [removed] = await world.connections.disconnect("p_alice", toolkit="asana")
    assert removed.account_id
    assert world.count("account_deleted", "p_alice") == 1
    assert not world.vendor.accounts_of("p_alice")


async def test_a_person_cannot_disconnect_the_account_of_another_person(world: World) -> None:
    connection = await world.connect("p_alice")
    for target in ({"connection_id": connection.id}, {"toolkit": "asana"}, {}):
        with pytest.raises(NotFound) as caught:
            await world.connections.disconnect("p_bob", **target)
        assert caught.value.reason == "CONNECTION_NOT_FOUND"
    assert await world.connections.active("p_alice", "asana") == [connection]


async def test_disconnect_ends_what_was_being_connected(world: World) -> None:
    code = await world.code("p_alice")
    await world.connections.disconnect("p_alice", toolkit="asana")
    assert (await world.confirm("p_alice", code)).told.startswith("That code for Asana is no longer valid")
    assert not await world.connections.active("p_alice", "asana")
    assert not world.vendor.accounts_of("p_alice")
