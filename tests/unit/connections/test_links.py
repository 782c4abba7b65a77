"""The link that a person is given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from emulators.faults import matching
from kernel_service.composio.client import LINK_SECONDS as CONSENT_SECONDS
from kernel_service.connections.consent import CODE_SECONDS, PageKind
from kernel_service.connections.links import LINK_SECONDS, MIN_REMAINING_SECONDS
from kernel_service.errors import NotAllowed, NotFound
from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.tools import Person
from tests.unit.composio.fakes import CONNECT_URL, nonce_of

if TYPE_CHECKING:
    from kernel_service.ports.connect_attempts import ConnectAttempt
    from tests.unit.composio.fakes import World

ALICE, BOB = Person("p_alice", "test", "desk"), Person("p_bob", "test", "desk")


async def test_a_link_leads_to_the_connect_pages_and_makes_no_account_yet(world: World) -> None:
    link = (await world.connect_links.link(ALICE, " Asana")).link
    assert link.title == "Connect Asana"
    assert link.expires_at == world.clock.now + LINK_SECONDS
    assert link.url.startswith(f"{CONNECT_URL}/connect/")
    assert not world.vendor.accounts_of("p_alice")
    (connection,) = await world.connections.list("p_alice")
    assert (connection.status, connection.toolkit, connection.account_id) == (ConnectionStatus.PENDING, "asana", "")


async def test_at_most_one_live_link(world: World) -> None:
    many = await asyncio.gather(*(world.connect_links.link(ALICE, "asana") for _ in range(20)))
    assert len(set(many)) == 1
    world.clock.now += LINK_SECONDS - MIN_REMAINING_SECONDS
    world.restart()
    assert await world.connect_links.link(ALICE, "asana") == many[0]
    world.clock.now += 1
    later = await world.connect_links.link(ALICE, "asana")
    assert later.link.url != many[0].link.url
    assert [attempt.connection.link for attempt in await world.store.connect_attempts.live("p_alice")] == [
        later.link.url
    ]


STATES = ["open", "claimed", "started", "returned", "completing"]


async def brought(world: World, state: str, name: str = "") -> ConnectAttempt:
    """Alice's attempt, as far as that."""
    if state == "claimed":
        world.vendor.fail(0, match=matching(path="/link"))
        await world.consent.start(nonce_of((await world.connect_links.link(ALICE, "asana", name)).link.url), "browser")
    elif state == "started":
        await world.start("p_alice", name=name)
    elif state in {"returned", "completing"}:
        await world.code("p_alice", name=name)
    else:
        await world.connect_links.link(ALICE, "asana", name)
    attempt = (await world.store.connect_attempts.live("p_alice"))[-1]
    if state == "completing":
        attempt = replace(attempt, state=ConnectAttemptState.COMPLETING)
        await world.store.connect_attempts.advance(attempt, was=ConnectAttemptState.RETURNED)
    assert attempt.state == state
    return attempt


@pytest.mark.parametrize("state", STATES)
async def test_another_request_keeps_the_attempt_in_progress(world: World, state: str) -> None:
    attempt = await brought(world, state)
    world.clock.now += 1
    world.restart()
    offer = await world.connect_links.link(ALICE, "asana")
    assert (offer.link.url, offer.state) == (attempt.connection.link, state)
    assert await world.store.connect_attempts.live("p_alice") == [attempt]


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        ("open", LINK_SECONDS),
        ("claimed", LINK_SECONDS),
        ("started", CONSENT_SECONDS),  # the vendor's own link is no good any longer
        ("returned", CODE_SECONDS),
        ("completing", CODE_SECONDS),
    ],
)
async def test_a_link_says_how_long_it_leads_on_from_where_the_person_is(
    world: World, state: str, seconds: float
) -> None:
    attempt, began = await brought(world, state), world.clock.now
    assert (await world.connect_links.link(ALICE, "asana")).link.expires_at == began + seconds
    world.clock.now += seconds - MIN_REMAINING_SECONDS
    assert (await world.connect_links.link(ALICE, "asana")).link.url == attempt.connection.link
    world.clock.now += 1
    offer = await world.connect_links.link(ALICE, "asana")
    assert (offer.state, offer.link.expires_at) == (ConnectAttemptState.OPEN, world.clock.now + LINK_SECONDS)
    assert offer.link.url != attempt.connection.link


@pytest.mark.parametrize("state", STATES)
async def test_a_new_link_ends_what_is_under_way(world: World, state: str) -> None:
    """A person who asks for a new link has lost their page or their browser."""
    before = await brought(world, state)
    offer = await world.connect_links.link(ALICE, "asana", reusable=())
    (attempt,) = await world.store.connect_attempts.live("p_alice")
    assert (attempt.state, attempt.connection.link) == (ConnectAttemptState.OPEN, offer.link.url)
    assert offer.link.url != before.connection.link
    assert not world.vendor.accounts_of("p_alice"), "the unfinished account is removed at the vendor"
    assert not world.told


async def test_a_link_that_was_not_kept_is_not_issued(world: World) -> None:
    """An earlier release forgot it with the consent."""
    attempt = await brought(world, "returned")
    forgetful = replace(attempt, connection=replace(attempt.connection, link=""))
    await world.store.connect_attempts.advance(forgetful, was=ConnectAttemptState.RETURNED)
    assert (await world.connect_links.link(ALICE, "asana")).state is ConnectAttemptState.OPEN


@pytest.mark.parametrize("state", STATES[1:])
async def test_an_account_of_another_name_is_connected_beside_the_first(world: World, state: str) -> None:
    first = await brought(world, state, "work")
    world.clock.now += 1
    other = await world.connect_links.link(ALICE, "asana", "private")
    assert [attempt.connection.name for attempt in await world.store.connect_attempts.live("p_alice")] == [
        "work",
        "private",
    ]
    assert (await world.connect_links.link(ALICE, "asana", "work")).link.url == first.connection.link
    left = [attempt.connection.name for attempt in await world.store.connect_attempts.live("p_alice")]
    assert left == ["work"], "at most one unfollowed link"
    assert (await world.consent.view(nonce_of(other.link.url), "browser")).kind is PageKind.ENDED


async def test_an_account_of_another_name_has_its_time_to_the_end(world: World) -> None:
    await brought(world, "returned", "work")
    world.clock.now += CODE_SECONDS - 1
    await world.connect_links.link(ALICE, "asana", "private")
    assert len(await world.store.connect_attempts.live("p_alice")) == 2


async def test_each_person_and_toolkit_has_a_separate_link(world: World) -> None:
    people = [(person, toolkit) for person in (ALICE, BOB) for toolkit in ("asana", "gmail")]
    connect_links = await asyncio.gather(*(world.connect_links.link(*each) for each in people))
    assert len({offer.link.url for offer in connect_links}) == 4
    assert len(await world.store.connect_attempts.live("p_alice")) == 2


@pytest.mark.parametrize("toolkit", ["nope", "", "../x", "a,b", "hackernews"])
async def test_toolkits_that_cannot_be_connected(world: World, toolkit: str) -> None:
    with pytest.raises(NotFound) as caught:
        await world.connect_links.link(ALICE, toolkit)
    assert caught.value.reason == "TOOLKIT_UNKNOWN"


async def test_only_allowed_toolkits(world: World) -> None:
    world.restart("asana")
    with pytest.raises(NotAllowed, match="asana") as caught:
        await world.connect_links.link(ALICE, "gmail")
    assert caught.value.reason == "TOOLKIT_NOT_ALLOWED"
    assert await world.connect_links.link(ALICE, "asana")


# --- another node ------------------------------------------------------------------------------------------------


async def test_two_nodes_at_once_make_one_live_link(world: World) -> None:
    nodes = [world, world.another_node(), world.another_node()]
    many = await asyncio.gather(*(node.connect_links.link(ALICE, "asana") for node in nodes * 3))
    assert len({offer.link.url for offer in many}) == 1
    assert len(await world.store.connect_attempts.live("p_alice")) == 1


async def test_of_links_for_two_accounts_at_two_nodes_one_stays_unfollowed(world: World) -> None:
    nodes = zip([world, world.another_node()] * 3, ["", "work", "home", "", "work", "home"], strict=True)
    await asyncio.gather(*(node.connect_links.link(ALICE, "asana", name) for node, name in nodes))
    assert len(await world.store.connect_attempts.live("p_alice")) == 1


async def test_links_of_two_toolkits_and_of_two_people_are_apart(world: World) -> None:
    nodes = world, world.another_node()
    links = [
        await node.connect_links.link(person, toolkit)
        for node, person, toolkit in zip(
            nodes * 2, [ALICE, ALICE, BOB, BOB], ["asana", "gmail", "asana", "gmail"], strict=True
        )
    ]
    assert len({offer.link.url for offer in links}) == 4
    assert len(await world.store.connect_attempts.live("p_alice")) == 2


async def test_a_link_made_at_one_node_is_issued_again_at_another(world: World) -> None:
    first = await world.connect_links.link(ALICE, "asana")
    assert await world.another_node().connect_links.link(ALICE, "asana") == first
