"""A rejected session stays rejected through a flood, and through a restart after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel_service.connections.consent import PageKind
from kernel_service.connections.stray_sessions import STARTED_SECONDS, RotatingBloomFilter
from kernel_service.connections.tokens import digest, new_nonce
from kernel_service.ports.connect_attempts import ConnectAttemptState

if TYPE_CHECKING:
    from tests.unit.composio.fakes import World


async def refused() -> bool:
    """No room for a row."""
    return False


async def restarted(world: World) -> None:
    await world.consent.close()
    world.clock.now += 1
    world.restart()


def session_of(back: str) -> str:
    return back.rpartition("session_uri=")[2]


@pytest.mark.parametrize("later", [0.0, 1.0, STARTED_SECONDS / 2, STARTED_SECONDS - 1])
@pytest.mark.parametrize("began", [0.0, 1.0, STARTED_SECONDS / 2, STARTED_SECONDS - 0.5])
def test_the_filter_forgets_nothing_in_time(began: float, later: float) -> None:
    held, foreign = ([digest(f"{kind} {number}") for number in range(2000)] for kind in ("held", "foreign"))
    stray_sessions = RotatingBloomFilter(STARTED_SECONDS)
    now = STARTED_SECONDS * 1_000_000 + began
    for one in held:
        stray_sessions.add(one, now)
    assert all(stray_sessions.is_rejected(one, now + later) for one in held)
    assert not any(stray_sessions.is_rejected(one, now + later) for one in foreign)
    assert not any(stray_sessions.is_rejected(one, now + 2 * STARTED_SECONDS) for one in held)
    assert not stray_sessions.is_rejected(held[0], now + 50 * STARTED_SECONDS)


async def test_after_a_flood_and_a_restart_no_attempt_of_before_is_trusted(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    assert (await world.consent.verified(session_of(back), "victim", refused)).kind is PageKind.RATE_LIMITED
    await restarted(world)
    assert (await world.come_back(back, "attacker")).kind is PageKind.ENDED
    assert not await world.store.connect_attempts.live("p_alice")
    assert world.attempt_closer.outcomes[ConnectAttemptState.REMOVED] == 1
    again = world.vendor.approve(await world.start("p_alice"))
    assert (await world.come_back(again)).kind is PageKind.CODE, "a new attempt is not affected"


async def test_without_a_flood_an_attempt_outlives_a_restart(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice"))
    await restarted(world)
    assert (await world.come_back(back)).kind is PageKind.CODE


async def test_a_flood_of_long_ago_affects_no_attempt(world: World) -> None:
    world.set_verifier()
    await world.consent.verified(new_nonce(), "", refused)
    world.clock.now += 3 * STARTED_SECONDS
    back = world.vendor.approve(await world.start("p_alice"))
    await restarted(world)
    assert (await world.come_back(back)).kind is PageKind.CODE
