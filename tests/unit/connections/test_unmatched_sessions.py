"""A rejected session stays rejected through a flood, at every node, and through a restart after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from kernel_service.connections.consent import PageKind
from kernel_service.connections.tokens import digest, new_nonce
from kernel_service.connections.unmatched_sessions import (
    LATE_SECONDS,
    STARTED_SECONDS,
    RotatingBloomFilter,
    UnmatchedSessions,
)
from kernel_service.errors import StoreUnavailable
from kernel_service.process_memory import resident_bytes
from kernel_service.storage.schema import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.composio.fakes import World


async def refused() -> bool:
    """No room for a row."""
    return False


def session_of(back: str) -> str:
    return back.rpartition("session_uri=")[2]


@pytest.mark.parametrize("later", [0.0, 1.0, STARTED_SECONDS / 2, STARTED_SECONDS - 1])
@pytest.mark.parametrize("began", [0.0, 1.0, STARTED_SECONDS / 2, STARTED_SECONDS - 0.5])
def test_the_filter_forgets_nothing_in_time(began: float, later: float) -> None:
    held, foreign = ([digest(f"{kind} {number}") for number in range(2000)] for kind in ("held", "foreign"))
    unmatched_sessions = RotatingBloomFilter(STARTED_SECONDS)
    now = STARTED_SECONDS * 1_000_000 + began
    for one in held:
        unmatched_sessions.add(one, now)
    assert all(unmatched_sessions.is_rejected(one, now + later) for one in held)
    assert not any(unmatched_sessions.is_rejected(one, now + later) for one in foreign)
    assert not any(unmatched_sessions.is_rejected(one, now + 2 * STARTED_SECONDS) for one in held)
    assert not unmatched_sessions.is_rejected(held[0], now + 50 * STARTED_SECONDS)


def test_an_empty_filter_takes_no_memory() -> None:
    before = resident_bytes()
    unmatched_sessions = RotatingBloomFilter(STARTED_SECONDS)
    for number in range(100):
        assert not unmatched_sessions.is_rejected(digest(str(number)), STARTED_SECONDS * 1000)
    assert resident_bytes() - before < 2**20


async def test_a_session_of_a_flood_is_rejected_by_every_node(world: World) -> None:
    world.set_verifier()
    other = world.another_node()
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    assert (await world.consent.verified(session_of(back), "victim", refused)).kind is PageKind.RATE_LIMITED
    assert (await other.come_back(back, "attacker")).kind is PageKind.UNKNOWN
    assert (await world.come_back(back, "attacker")).kind is PageKind.UNKNOWN


async def test_a_session_of_a_flood_is_rejected_after_a_crash(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    await world.consent.verified(session_of(back), "victim", refused)
    world.clock.now += 1
    world.restart()
    assert (await world.come_back(back, "attacker")).kind is PageKind.UNKNOWN


async def test_a_flood_at_one_node_keeps_no_code_from_another(world: World) -> None:
    world.set_verifier()
    other = world.another_node()
    back = world.vendor.approve(await world.start("p_alice"))
    await asyncio.gather(*(world.consent.verified(new_nonce(), "", refused) for _ in range(200)))
    assert (await other.come_back(back)).kind is PageKind.CODE


async def test_a_flood_is_stored_in_few_rows(world: World) -> None:
    world.set_verifier()
    await asyncio.gather(*(world.consent.verified(new_nonce(), "", refused) for _ in range(200)))
    assert len(await world.store.unmatched_sessions.noted_since(world.clock.now)) == 200
    assert await rows(world) == 1


async def test_a_flood_that_continues_delays_no_request_for_later_ones(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request waits until the row with its session is stored, and not for the next rows."""
    later: list[asyncio.Task[None]] = []
    note_many = world.store.unmatched_sessions.note_many

    async def noted(digests: Sequence[bytes], *, now: float) -> None:
        if len(later) < 50:  # one more comes while each row is written
            later.append(asyncio.create_task(unmatched.reject(new_nonce(), as_row=False)))
        await note_many(digests, now=now)

    monkeypatch.setattr(world.store.unmatched_sessions, "note_many", noted)
    unmatched = UnmatchedSessions(world.store.unmatched_sessions, world.clock, asyncio.sleep)
    await asyncio.gather(*(unmatched.reject(new_nonce(), as_row=False) for _ in range(50)))
    assert len(later) <= 3
    await asyncio.gather(*later)


async def test_a_session_that_the_store_did_not_take_is_stored_with_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.set_verifier()

    async def away(_digests: object, *, now: float) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.store.unmatched_sessions, "note_many", away)
        with pytest.raises(StoreUnavailable):
            await world.consent.verified("ses_first", "victim", refused)
    await world.consent.verified("ses_second", "victim", refused)
    noted = await world.store.unmatched_sessions.noted_since(world.clock.now)
    assert set(noted) == {digest(session)[:16] for session in ("ses_first", "ses_second")}


async def test_a_node_reads_a_row_that_was_committed_late(world: World) -> None:
    """A row's time is before its commit."""
    world.set_verifier()
    other = world.another_node()
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    await other.come_back("https://connect.example/connect/verify?session_uri=ses_any", "attacker")
    earlier = world.clock.now - LATE_SECONDS + 1
    await world.store.unmatched_sessions.note_many([digest(session_of(back))], now=earlier)
    assert (await other.come_back(back, "attacker")).kind is PageKind.UNKNOWN


async def test_after_a_restart_an_attempt_continues(world: World) -> None:
    world.set_verifier()
    back = world.vendor.approve(await world.start("p_alice"))
    world.restart()
    assert (await world.come_back(back)).kind is PageKind.CODE


async def rows(world: World) -> int:
    counted = select(func.count()).select_from(schema.stray_batch)
    return int(await world.store.engine.read(lambda tx: tx.execute(counted).scalar_one()))
