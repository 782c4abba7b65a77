from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from kernel_service.connections.revoker import Revoker
from kernel_service.errors import VendorUnavailable

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World


async def test_a_hundred_at_once_make_one_session(world: World) -> None:
    made = await asyncio.gather(*(world.connections.sessions.of("p_alice") for _ in range(100)))
    assert len(set(made)) == 1
    assert world.count("session_created") == 1


async def test_a_session_outlives_a_restart(world: World) -> None:
    before = await world.connections.sessions.of("p_alice")
    world.restart()
    assert await world.connections.sessions.of("p_alice") == before
    assert world.count("session_created") == 1


async def test_each_person_has_a_separate_session(world: World) -> None:
    alice, bob = await world.connections.sessions.of("p_alice"), await world.connections.sessions.of("p_bob")
    assert alice != bob
    owners = {session.id: session.user_id for session in world.vendor.sessions}
    assert owners == {alice: "p_alice", bob: "p_bob"}


async def test_other_settings_make_another_session(world: World) -> None:
    before = await world.connections.sessions.of("p_alice")
    world.restart("asana")
    after = await world.connections.sessions.of("p_alice")
    assert after != before
    assert await world.connections.sessions.of("p_alice") == after


async def test_a_forgotten_session_is_created_again(world: World) -> None:
    await world.store.sessions.keep("p_alice", "trs_forgotten000", "x")
    sessions = world.connections.sessions
    old = await sessions.of("p_alice")
    for generation in (1, 2):
        world.vendor._sessions.delete(old)
        links = await asyncio.gather(
            *(sessions.using("p_alice", lambda session: world.composio.link(session, "asana")) for _ in range(3))
        )
        assert len(links) == 3
        new = await sessions.of("p_alice")
        assert new != old
        kept = await world.store.sessions.of_person("p_alice")
        assert kept is not None
        assert kept[1].endswith(f"+{generation}")
        old = new
    assert world.count("session_created") == 3


async def test_the_session_that_another_process_kept_first_counts(world: World) -> None:
    hold = world.vendor.hold(lambda call: call.path == "/tool_router/session")
    mine = asyncio.create_task(world.connections.sessions.of("p_alice"))
    await hold.reached.wait()
    configuration = world.connections.sessions._configuration
    await world.store.sessions.keep("p_alice", "trs_theirs000000", configuration)
    hold.release()
    assert await mine == "trs_theirs000000"


async def test_settings_that_composio_refuses_hold_the_turn(world: World) -> None:
    world.restart("no_such_toolkit")
    with pytest.raises(VendorUnavailable) as caught:
        await world.connections.sessions.of("p_alice")
    assert caught.value.problem == "tools_refuse_settings"


async def test_one_who_gives_up_does_not_end_what_others_wait_for(world: World) -> None:
    hold = world.vendor.hold()
    first = asyncio.create_task(world.connections.sessions.of("p_alice"))
    await hold.reached.wait()
    second = asyncio.create_task(world.connections.sessions.of("p_alice"))
    first.cancel()
    hold.release()
    assert await second
    assert world.count("session_created") == 1


async def test_two_nodes_at_once_leave_one_session_at_the_vendor(world: World) -> None:
    nodes = world, world.another_node()
    hold = world.vendor.hold(lambda call: call.path == "/tool_router/session")
    asking = [asyncio.create_task(node.connections.sessions.of("p_alice")) for node in nodes]
    await hold.reached.wait()
    hold.release()
    one, other = await asyncio.gather(*asking)
    assert world.count("session_created") == 2
    assert one == other
    await revoker(world).sweep()
    assert [session.id for session in world.vendor.sessions] == [one]


def revoker(world: World) -> Revoker:
    return Revoker(world.composio, world.composio.triggers, world.store.revocations, world.clock)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_replaced_session_is_removed_when_the_vendor_is_back(world: World, status: int) -> None:
    await world.connections.sessions.of("p_alice")
    world.restart("asana")
    kept = await world.connections.sessions.of("p_alice")
    world.vendor.fail(status, match=lambda call: call.method == "DELETE")
    await revoker(world).sweep()
    assert len(world.vendor.sessions) == 2
    world.clock.now += 3600
    await revoker(world).sweep()
    assert [session.id for session in world.vendor.sessions] == [kept]
    assert await world.store.revocations.due(limit=9) == []


async def test_two_nodes_replace_a_forgotten_session_by_one(world: World) -> None:
    nodes = world, world.another_node()
    world.vendor._sessions.delete(await world.connections.sessions.of("p_alice"))
    links = await asyncio.gather(
        *(
            node.connections.sessions.using("p_alice", lambda session: world.composio.link(session, "asana"))
            for node in nodes
        )
    )
    assert len(links) == 2
    await revoker(world).sweep()
    assert [session.id for session in world.vendor.sessions] == [await world.connections.sessions.of("p_alice")]
