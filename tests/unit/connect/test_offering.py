"""The link that a person is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.connect.attempt import State
from kernel_service.connect.offering import LEAST_LIFE, LINK_SECONDS
from kernel_service.errors import NotAllowed, NotFound
from kernel_service.tools.connections import ConnectionStatus
from kernel_service.turns.tools import Person
from tests.unit.tools.fakes import DOOR

if TYPE_CHECKING:
    from tests.unit.tools.fakes import World

ALICE, BOB = Person("p_alice", "test", "desk"), Person("p_bob", "test", "desk")


async def test_a_link_leads_to_our_door_and_makes_no_account_yet(world: World) -> None:
    link = await world.offers.link(ALICE, " Asana")
    assert link.title == "Connect Asana"
    assert link.expires_at == world.clock.now + LINK_SECONDS
    assert link.url.startswith(f"{DOOR}/connect/")
    assert not world.vendor.accounts_of("p_alice")
    (connection,) = await world.connections.list("p_alice")
    assert (connection.status, connection.toolkit, connection.account_id) == (ConnectionStatus.PENDING, "asana", "")


async def test_at_most_one_live_link(world: World) -> None:
    many = await asyncio.gather(*(world.offers.link(ALICE, "asana") for _ in range(20)))
    assert len(set(many)) == 1
    world.clock.now += LINK_SECONDS - LEAST_LIFE
    world.restart()
    assert await world.offers.link(ALICE, "asana") == many[0]
    world.clock.now += 1
    later = await world.offers.link(ALICE, "asana")
    assert later.url != many[0].url
    assert [attempt.connection.link for attempt in await world.store.live_attempts("p_alice")] == [later.url]


@pytest.mark.parametrize("how_far", ["started", "returned"])
async def test_a_new_link_ends_what_is_under_way(world: World, how_far: str) -> None:
    """Somebody who asks again has lost his page, or his browser."""
    await (world.start("p_alice") if how_far == "started" else world.code("p_alice"))
    assert world.vendor.accounts_of("p_alice")
    link = await world.offers.link(ALICE, "asana")
    (attempt,) = await world.store.live_attempts("p_alice")
    assert (attempt.state, attempt.connection.link) == (State.OPEN, link.url)
    assert not world.vendor.accounts_of("p_alice"), "what was begun is removed at the vendor"
    assert not world.told


async def test_each_person_and_toolkit_has_a_link_of_its_own(world: World) -> None:
    people = [(person, toolkit) for person in (ALICE, BOB) for toolkit in ("asana", "gmail")]
    links = await asyncio.gather(*(world.offers.link(*each) for each in people))
    assert len({link.url for link in links}) == 4
    assert len(await world.store.live_attempts("p_alice")) == 2


@pytest.mark.parametrize("toolkit", ["nope", "", "../x", "a,b", "hackernews"])
async def test_toolkits_that_cannot_be_connected(world: World, toolkit: str) -> None:
    with pytest.raises(NotFound) as caught:
        await world.offers.link(ALICE, toolkit)
    assert caught.value.reason == "TOOLKIT_UNKNOWN"


async def test_only_allowed_toolkits(world: World) -> None:
    world.restart("asana")
    with pytest.raises(NotAllowed, match="asana") as caught:
        await world.offers.link(ALICE, "gmail")
    assert caught.value.reason == "TOOLKIT_NOT_ALLOWED"
    assert await world.offers.link(ALICE, "asana")
