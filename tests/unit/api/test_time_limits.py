"""Waits that share a timer: each ends in time, and a cancellation by others stays one."""

from __future__ import annotations

import asyncio

import pytest

from kernel_service.api.time_limits import TimeLimit
from kernel_service.errors import Stalled
from tests.clock import Clock

SECONDS = 60.0
LATE = "nothing came"


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The loop's time. It moves only by hand."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop.time())
    monkeypatch.setattr(loop, "time", clock)
    return clock


async def passed(clock: Clock, seconds: float) -> None:
    clock.now += seconds
    for _ in range(5):
        await asyncio.sleep(0)


def limit_of(seconds: float = SECONDS) -> TimeLimit:
    return TimeLimit(seconds, LATE)


async def wait_for_nothing(limit: TimeLimit) -> None:
    with limit.wait():
        await asyncio.Event().wait()


def is_late(waiting: asyncio.Task[None]) -> bool:
    return waiting.done() and isinstance(waiting.exception(), Stalled)


async def test_each_wait_has_its_own_time(clock: Clock) -> None:
    limit = limit_of()
    first = asyncio.create_task(wait_for_nothing(limit))
    await passed(clock, 0)
    await passed(clock, SECONDS / 2)
    second = asyncio.create_task(wait_for_nothing(limit))
    await passed(clock, 0)
    assert not first.done()
    await passed(clock, SECONDS / 2 + 1)
    assert is_late(first)
    assert not second.done()
    await passed(clock, SECONDS / 2)
    assert is_late(second)
    assert not limit.waits
    assert limit.timer is None


async def test_the_error_says_what_did_not_come(clock: Clock) -> None:
    waiting = asyncio.create_task(wait_for_nothing(limit_of()))
    await passed(clock, 0)
    await passed(clock, SECONDS + 1)
    with pytest.raises(Stalled, match=LATE):
        await waiting


async def test_waits_share_one_timer(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, loop = limit_of(), asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *arguments: object) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(100):
        with limit.wait():
            clock.now += SECONDS / 200
    assert len(timers) == 1


async def test_a_wait_that_ended_in_time_is_not_cancelled_later(clock: Clock) -> None:
    with limit_of().wait():
        pass
    await passed(clock, SECONDS + 1)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_wait_that_is_entered_again_has_its_full_time(clock: Clock) -> None:
    limit, came = limit_of(), asyncio.Event()
    wait = limit.wait()

    async def wait_twice() -> None:
        with wait:
            await came.wait()
        with wait:
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait_twice())
    await passed(clock, 0)
    await passed(clock, SECONDS / 2)
    came.set()
    await passed(clock, 0)
    await passed(clock, SECONDS - 1)
    assert not waiting.done()
    await passed(clock, 2)
    assert is_late(waiting)
    assert not limit.waits


async def test_an_error_inside_stays_the_error() -> None:
    with pytest.raises(LookupError), limit_of().wait():
        raise LookupError


@pytest.mark.parametrize("expires", [False, True])
async def test_a_cancellation_by_others_stays_one(*, expires: bool) -> None:
    limit = limit_of()
    waiting = asyncio.create_task(wait_for_nothing(limit))
    await asyncio.sleep(0)
    waiting.cancel()
    if expires:
        next(iter(limit.waits)).expire()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_outer_wait_ends_an_inner_one(clock: Clock) -> None:
    outer, inner = limit_of(SECONDS / 2), limit_of()

    async def wait() -> None:
        with outer.wait():
            await wait_for_nothing(inner)

    waiting = asyncio.create_task(wait())
    await passed(clock, 0)
    await passed(clock, SECONDS / 2 + 1)
    assert is_late(waiting)
    assert not inner.waits
