"""Connecting, with each step at another node: the same store and the same vendor, behind other objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.connections.consent import PageKind
from kernel_service.connections.links import LINK_SECONDS
from kernel_service.connections.tokens import digest
from kernel_service.ports.connect_attempts import ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.tools import Person
from tests.unit.composio.fakes import nonce_of

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World

ALICE = Person("p_alice", "test", "desk")


@pytest.fixture(params=[False, True], ids=["no verifier", "verifier"])
def either(world: World, request: pytest.FixtureRequest) -> World:
    world.set_verifier(vendor=request.param, ours=request.param)
    return world


async def test_each_step_at_another_node(either: World) -> None:
    at_chat, at_link, at_consent, at_return, at_code = (either.another_node() for _ in range(5))
    nonce = nonce_of((await at_chat.connect_links.link(ALICE, "asana")).link.url)
    assert (await at_link.consent.view(nonce, "browser")).kind is PageKind.CONFIRM
    gone = await at_consent.consent.start(nonce, "browser")
    assert gone.kind is PageKind.REDIRECT
    back = await at_return.come_back(either.vendor.approve(gone.url), "browser")
    assert back.kind is PageKind.CODE
    assert back.attempt is not None
    assert (await at_link.consent.view(nonce, "browser")).kind is PageKind.CODE
    assert (await at_link.consent.view(nonce, "another")).kind is PageKind.OTHER_BROWSER
    said = await at_code.confirm("p_alice", back.attempt.code)
    assert said.told == texts.connecting.connected("Asana", "")
    assert [one.status for one in await at_chat.connections.active("p_alice", "asana")] == [ConnectionStatus.ACTIVE]
    assert (await at_return.consent.view(nonce, "browser")).kind is PageKind.CONNECTED


async def test_two_clicks_at_two_nodes_lead_to_one_consent(either: World) -> None:
    nodes = [either.another_node() for _ in range(3)]
    nonce = nonce_of((await either.connect_links.link(ALICE, "asana")).link.url)
    seen = await asyncio.gather(*(node.consent.start(nonce, "browser") for node in nodes))
    assert {one.kind for one in seen} == {PageKind.REDIRECT}
    assert len({one.url for one in seen}) == 1
    attempt = await either.store.connect_attempts.find(ConnectAttemptKey.LINK, digest(nonce))
    assert attempt is not None
    [account] = either.vendor.accounts_of("p_alice")
    assert account.id == attempt.connection.account_id, "the others are removed"


async def test_two_browsers_at_two_nodes(either: World) -> None:
    nonce = nonce_of((await either.connect_links.link(ALICE, "asana")).link.url)
    nodes = zip((either, either.another_node()), ("mine", "theirs"), strict=True)
    seen = await asyncio.gather(*(node.consent.start(nonce, browser) for node, browser in nodes))
    assert {one.kind for one in seen} == {PageKind.REDIRECT, PageKind.OTHER_BROWSER}


async def test_a_callback_that_comes_to_two_nodes_shows_one_code(either: World) -> None:
    back = either.vendor.approve(await either.start("p_alice"))
    seen = await asyncio.gather(*(node.come_back(back) for node in (either, either.another_node())))
    assert {one.kind for one in seen} == {PageKind.CODE}
    assert len({one.attempt.code for one in seen if one.attempt is not None}) == 1


async def test_a_code_that_comes_to_two_nodes_connects_once(either: World) -> None:
    code = await either.code("p_alice")
    said = await asyncio.gather(*(node.confirm("p_alice", code) for node in (either, either.another_node())))
    assert texts.connecting.connected("Asana", "") in {one.told for one in said}
    assert len(await either.connections.active("p_alice", "asana")) == 1


async def test_wrong_codes_at_two_nodes_count_together(either: World) -> None:
    code = await either.code("p_alice")
    nodes = either, either.another_node()
    said = [await nodes[number % 2].confirm("p_alice", "BBBB-BBBB") for number in range(5)]
    assert said[-1].told == texts.connecting.TOO_MANY_WRONG_CODES
    assert (await nodes[1].confirm("p_alice", code)).told != texts.connecting.connected("Asana", "")
    assert not await either.connections.active("p_alice", "asana")


async def test_an_attempt_ends_once_when_two_nodes_end_it(either: World) -> None:
    await either.code("p_alice")
    nodes = either, either.another_node()
    either.clock.now += LINK_SECONDS
    await asyncio.gather(*(node.attempt_closer.sweep() for node in nodes))
    assert sum(node.attempt_closer.outcomes[ConnectAttemptState.LAPSED] for node in nodes) == 1
    assert either.told == [("p_alice", texts.connecting.code_never_came("Asana"))]
    await nodes[1].attempt_closer.sweep()
    assert not either.vendor.accounts_of("p_alice")
    assert not await either.store.connections.to_remove(limit=9)


async def test_a_link_removed_at_one_node_has_ended_at_another(either: World) -> None:
    nonce = nonce_of((await either.connect_links.link(ALICE, "asana")).link.url)
    await either.another_node().connections.disconnect("p_alice", toolkit="asana")
    assert (await either.consent.start(nonce, "browser")).kind is PageKind.ENDED
    assert not either.vendor.accounts_of("p_alice")


async def test_a_second_consent_that_is_removed_leaves_the_first_to_be_removed(either: World) -> None:
    """The account that lost is removed at the vendor; that of the attempt, which has ended meanwhile, is still due."""
    back = await either.start("p_alice")
    (attempt,) = await either.store.connect_attempts.live("p_alice")
    either.vendor.fail(503)
    assert await either.attempt_closer.end(attempt, ConnectAttemptState.REMOVED)
    await either.store.connections.mark_removed(attempt.connection.id, "ca_of_the_loser")
    [due] = await either.store.connections.to_remove(limit=9)
    assert due.account_id == attempt.connection.account_id
    assert back
