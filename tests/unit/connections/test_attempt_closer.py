"""Sweeps end attempts and remove accounts. An item that fails does not block the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from emulators.faults import matching
from kernel_service.connections import sweep_cursor
from kernel_service.connections.accounts import MOST_UNANSWERED
from kernel_service.connections.consent import CODE_SECONDS
from kernel_service.connections.sweep_cursor import DEFER_SECONDS
from kernel_service.errors import VendorUnavailable
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.storage.schema import schema

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

FOR_EVER = 10_000
ACCOUNTS = matching(path="/connected_accounts")


async def barred(world: World, count: int) -> list[str]:
    """Accounts of `count` people, barred while the vendor was away, in the order in which a sweep comes to them."""
    for person_id in await crowd(world, count):
        await world.connect(person_id)
        world.vendor.fail(503, match=ACCOUNTS)
        with pytest.raises(VendorUnavailable):
            await world.connections.disconnect(person_id, toolkit="asana")
    return [connection.account_id for connection in await world.store.connections.to_remove(limit=9)]


async def lapsing(world: World, count: int) -> list[str]:
    """Connections of `count` people whose codes never came, in the order in which a sweep comes to them."""
    for person_id in await crowd(world, count):
        await world.code(person_id)
    world.clock.now += CODE_SECONDS
    return list(await world.store.connect_attempts.lapsing(now=world.clock.now, limit=9))


async def crowd(world: World, count: int) -> list[str]:
    people = [f"p_{number}" for number in range(count)]
    for person_id in people:
        await world.person(person_id)
    return people


async def damage(world: World, connection_id: str) -> None:
    damaged = (
        update(schema.connect_attempt)
        .where(schema.connect_attempt.c.connection_id == connection_id)
        .values(secrets=b"damaged")
    )
    await world.store.engine.write(lambda tx: tx.execute(damaged))


def at_vendor(world: World) -> set[str]:
    return {account.id for number in range(9) for account in world.vendor.accounts_of(f"p_{number}")}


def tried(world: World, account_id: str) -> int:
    return world.requests(f"/connected_accounts/{account_id}")


@pytest.mark.parametrize("status", [400, 500])
async def test_an_account_that_the_vendor_does_not_remove_blocks_no_other(world: World, status: int) -> None:
    first, *_ = await barred(world, 3)
    world.vendor.fail(status, FOR_EVER, match=matching(path=first))
    await world.attempt_closer.sweep()
    assert at_vendor(world) == {first}


async def test_an_account_that_the_vendor_refuses_to_remove_is_asked_for_again_later(world: World) -> None:
    [account] = await barred(world, 1)
    world.vendor.fail(400, match=matching(path=account))
    before = tried(world, account)
    for _ in range(3):
        await world.attempt_closer.sweep()
    assert tried(world, account) == before + 1
    world.clock.now += DEFER_SECONDS
    await world.attempt_closer.sweep()
    assert not at_vendor(world)


@pytest.mark.parametrize(("status", "asked"), [(503, 1), (500, MOST_UNANSWERED)])
async def test_a_vendor_who_is_away_is_not_asked_for_each(world: World, status: int, asked: int) -> None:
    await barred(world, 4)
    world.vendor.fail(status, FOR_EVER, match=ACCOUNTS)
    before = world.requests("/connected_accounts")
    await world.attempt_closer.sweep()
    assert world.requests("/connected_accounts") == before + asked


async def test_more_than_a_sweep_looks_at_that_the_vendor_does_not_remove(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernel_service.connections.attempt_closer.PAGE_SIZE", 2)
    monkeypatch.setattr(sweep_cursor, "PAGE_SIZE", 2)
    *refused, _ = await barred(world, 4)
    for account in refused:
        world.vendor.fail(500, FOR_EVER, match=matching(path=account))
    for _ in range(2):
        await world.attempt_closer.sweep()
    assert at_vendor(world) == set(refused)
    world.vendor.clear()
    for _ in range(3):
        await world.attempt_closer.sweep()
    assert not at_vendor(world), "they come again"


async def test_an_attempt_that_cannot_be_opened_blocks_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    first, *_ = await lapsing(world, 3)
    await damage(world, first)
    for _ in range(3):
        await world.attempt_closer.sweep()
    assert world.attempt_closer.outcomes[ConnectAttemptState.LAPSED] == 2
    assert len(at_vendor(world)) == 1
    logged = [record.getMessage() for record in caplog.records if "cannot be opened" in record.getMessage()]
    assert logged == [f"attempt cannot be opened connection={first} reason=SEALED_VALUE_DAMAGED"]


async def test_more_than_a_sweep_looks_at_that_cannot_be_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernel_service.connections.attempt_closer.PAGE_SIZE", 2)
    monkeypatch.setattr(sweep_cursor, "PAGE_SIZE", 2)
    *damaged, _ = await lapsing(world, 4)
    for connection_id in damaged:
        await damage(world, connection_id)
    for _ in range(2):
        await world.attempt_closer.sweep()
    assert world.attempt_closer.outcomes[ConnectAttemptState.LAPSED] == 1
    assert len(at_vendor(world)) == 3
