from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service.errors import NotAllowed, NotFound, VendorUnavailable
from kernel_service.tools.connections import ConnectionStatus
from kernel_service.tools.link_watcher import CONSENT_GRACE

if TYPE_CHECKING:
    from tests.unit.tools.fakes import World

ACCOUNTS = matching(path="/connected_accounts")


async def test_a_link_leads_to_the_persons_own_account(world: World) -> None:
    link = await world.connections.connect("p_alice", "Asana")
    assert link.title == "Connect Asana"
    assert link.expires_at == world.clock.now + 600
    (account,) = world.vendor.accounts_of("p_alice")
    (row,) = world.store.rows.values()
    assert (row.account_id, row.person_id, row.toolkit, row.link) == (account.id, "p_alice", "asana", link.url)


async def test_at_most_one_live_link(world: World) -> None:
    many = await asyncio.gather(*(world.connections.connect("p_alice", "asana") for _ in range(20)))
    assert len(set(many)) == 1
    world.clock.now += 539
    assert await world.service().connect("p_alice", "asana") == many[0]
    assert world.count("link_created") == 1
    world.clock.now += 2
    later = await world.connections.connect("p_alice", "asana")
    assert later.url != many[0].url
    assert world.count("link_created") == 2


async def test_each_person_and_toolkit_has_a_link_of_its_own(world: World) -> None:
    people = [(person, toolkit) for person in ("p_alice", "p_bob") for toolkit in ("asana", "gmail")]
    links = await asyncio.gather(*(world.connections.connect(*each) for each in people))
    assert len({link.url for link in links}) == 4
    made = {effect.key: effect.person for effect in world.effects.all("link_created")}
    for (person, _), link in zip(people, links, strict=True):
        assert made[link.url.rpartition("/")[2]] == person


@pytest.mark.parametrize("toolkit", ["nope", "", "../x", "a,b", "hackernews"])
async def test_toolkits_that_cannot_be_connected(world: World, toolkit: str) -> None:
    with pytest.raises(NotFound) as caught:
        await world.connections.connect("p_alice", toolkit)
    assert caught.value.reason == "TOOLKIT_UNKNOWN"


async def test_only_allowed_toolkits(world: World) -> None:
    connections = world.service("asana")
    with pytest.raises(NotAllowed, match="asana") as caught:
        await connections.connect("p_alice", "gmail")
    assert caught.value.reason == "TOOLKIT_NOT_ALLOWED"
    assert await connections.connect("p_alice", "asana")


async def test_a_toolkit_that_composio_does_not_let_connect(world: World) -> None:
    world.vendor.fail(400, match=matching(path="/link"))
    with pytest.raises(NotAllowed):
        await world.connections.connect("p_alice", "asana")
    assert not world.store.rows


async def test_consent_makes_it_active(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    assert await world.connections.confirmed("p_alice", "asana") is None
    world.vendor.approve(link.url)
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.ACTIVE
    assert connection.confirmed_at == world.clock.now
    assert connection.link == "", "a used link is of no use to anyone"
    assert await world.connections.confirmed("p_alice", "asana") == connection
    assert world.connected == [("p_alice", "asana")]
    world.clock.now += 60
    await world.connections.refresh("p_alice")
    assert world.connected == [("p_alice", "asana")]


async def test_consent_denied(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    world.vendor.deny(link.url)
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.EXPIRED
    assert not world.connected
    assert (await world.connections.connect("p_alice", "asana")).url != link.url


async def test_a_link_that_nobody_follows_lapses(world: World) -> None:
    await world.connections.connect("p_alice", "asana")
    world.clock.now += 601
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.EXPIRED


async def test_turns_look_only_every_few_seconds(world: World) -> None:
    await world.connections.connect("p_alice", "asana")
    for _ in range(10):
        await world.connections.refresh("p_alice")
    assert world.requests("/connected_accounts") == 1
    world.clock.now += 6
    await world.connections.refresh("p_alice")
    assert world.requests("/connected_accounts") == 2


async def test_nothing_pending_asks_nothing(world: World) -> None:
    await world.connect("p_alice")
    before = len(world.vendor.requests)
    world.clock.now += 60
    await world.service().refresh("p_alice")
    assert len(world.vendor.requests) == before


@pytest.mark.parametrize("status", [0, 400, 401, 429, 500])
async def test_a_vendor_who_is_away_changes_nothing(world: World, status: int) -> None:
    link = await world.connections.connect("p_alice", "asana")
    world.vendor.approve(link.url)
    world.vendor.fail(status, match=ACCOUNTS)
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.PENDING
    world.clock.now += 6
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.ACTIVE


async def test_an_account_of_another_person_is_never_confirmed(world: World) -> None:
    """Even if our own row named it."""
    bobs = await world.connect("p_bob")
    await world.connections.connect("p_alice", "asana")
    (alices,) = await world.connections.list("p_alice")
    await world.store.keep_connection(replace(alices, account_id=bobs.account_id))
    (connection,) = await world.connections.refresh("p_alice")
    assert connection.status is ConnectionStatus.EXPIRED
    assert await world.connections.confirmed("p_alice", "asana") is None


async def test_a_confirmed_account_is_only_its_persons(world: World) -> None:
    alice = await world.connect("p_alice")
    assert await world.connections.confirmed("p_bob", "asana") is None
    bob = await world.connect("p_bob")
    assert alice.account_id != bob.account_id
    assert await world.connections.confirmed("p_alice", "asana") == alice
    assert await world.connections.confirmed("p_bob", "asana") == bob


async def test_an_account_of_a_toolkit_that_is_no_longer_allowed(world: World) -> None:
    await world.connect("p_alice")
    assert await world.service("gmail").confirmed("p_alice", "asana") is None


async def test_what_composio_ended_is_noted(world: World) -> None:
    connection = await world.connect("p_alice")
    assert await world.connections.still_connected("p_alice", "asana")
    world.vendor.expire(connection.account_id)
    assert not await world.connections.still_connected("p_alice", "asana")
    assert await world.connections.confirmed("p_alice", "asana") is None


# --- removing ---------------------------------------------------------------------------------------------------


async def test_disconnect(world: World) -> None:
    connection = await world.connect("p_alice")
    await world.connect("p_alice", "gmail")
    (removed,) = await world.connections.disconnect("p_alice", connection_id=connection.id)
    assert removed.status is ConnectionStatus.DISCONNECTED
    assert [each.toolkit for each in await world.connections.list("p_alice")] == ["gmail"]
    assert [account.toolkit for account in world.vendor.accounts_of("p_alice")] == ["gmail"]
    assert await world.connections.disconnect("p_alice", connection_id=connection.id) == [removed]


async def test_disconnect_bars_first(world: World) -> None:
    await world.connect("p_alice")
    world.vendor.fail(500, match=ACCOUNTS)
    with pytest.raises(VendorUnavailable):
        await world.connections.disconnect("p_alice", toolkit="asana")
    assert await world.connections.confirmed("p_alice", "asana") is None
    await world.connections.disconnect("p_alice", toolkit="asana")
    assert not world.vendor.accounts_of("p_alice")


async def test_nobody_disconnects_anothers(world: World) -> None:
    connection = await world.connect("p_alice")
    for target in ({"connection_id": connection.id}, {"toolkit": "asana"}, {}):
        with pytest.raises(NotFound) as caught:
            await world.connections.disconnect("p_bob", **target)
        assert caught.value.reason == "CONNECTION_NOT_FOUND"
    assert await world.connections.confirmed("p_alice", "asana") == connection


async def test_disconnect_wins_over_a_look_under_way(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    world.vendor.approve(link.url)
    hold = world.vendor.hold(lambda call: call.method == "GET" and "/connected_accounts" in call.path)
    looking = asyncio.create_task(world.connections.refresh("p_alice"))
    await hold.reached.wait()
    await world.connections.disconnect("p_alice", toolkit="asana")
    hold.release()
    await looking
    assert await world.connections.list("p_alice") == []
    assert not world.connected


# --- watching ---------------------------------------------------------------------------------------------------


async def test_the_watcher_tells_once(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    world.vendor.approve(link.url)
    world.sleep.step()
    await world.told.wait()
    world.sleep.step(5)
    await world.connections.refresh("p_alice")
    assert world.connected == [("p_alice", "asana")]
    assert world.sleep.slept == [2]


async def test_the_watcher_backs_off_and_survives_faults(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    world.vendor.fail(500, times=2, match=ACCOUNTS)
    world.vendor.fail(401, match=ACCOUNTS)
    hold = world.vendor.hold(lambda call: "/connected_accounts" in call.path and len(world.sleep.slept) == 6)
    world.sleep.step(6)
    await hold.reached.wait()
    world.vendor.approve(link.url)
    hold.release()
    await world.told.wait()
    assert world.sleep.slept == [2, 4, 8, 15, 15, 15]


async def test_the_watcher_ends_with_the_link(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    (watching,) = world.connections._watcher._tasks
    world.sleep.step(100)
    await watching
    (connection,) = await world.connections.list("p_alice")
    assert connection.status is ConnectionStatus.EXPIRED
    assert link.expires_at is not None
    assert world.clock.now < link.expires_at + CONSENT_GRACE + 60


async def test_links_of_an_earlier_process_are_watched(world: World) -> None:
    link = await world.connections.connect("p_alice", "asana")
    await world.connections.close()
    restarted = world.service()
    await restarted.watch()
    world.vendor.approve(link.url)
    world.sleep.step()
    await world.told.wait()
    assert world.connected == [("p_alice", "asana")]


async def test_links_long_over_are_not_watched(world: World) -> None:
    await world.connections.connect("p_alice", "asana")
    world.clock.now += 600 + CONSENT_GRACE
    restarted = world.service()
    await restarted.watch()
    assert not restarted._watcher._tasks


async def test_a_notice_that_fails_spoils_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(person_id: str, toolkit: str) -> None:
        raise RuntimeError

    world.connections._on_connected = broken
    connection = await world.connect("p_alice")
    assert connection.status is ConnectionStatus.ACTIVE
    assert "notice of a connection failed" in caplog.text
