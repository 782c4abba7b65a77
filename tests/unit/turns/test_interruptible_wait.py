"""The wait for the model or a tool: the caller's own task works, and a message that ends the attempt cancels it."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.interruptions import JoiningMessages, Requeued
from kernel_service.turns import interrupt_watcher
from kernel_service.turns.interrupt_watcher import InterruptWatcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator


class Attempt:
    """An attempt whose work waits for `done`. A look in the store waits for `gate` and raises `found`."""

    def __init__(self) -> None:
        self.kernel: Any = SimpleNamespace(leaving=False, outdated=False, wakeup=None, wake_turn=self.message)
        self.found: Exception | None = None
        self.looks = 0
        self.gate: asyncio.Event | None = None
        self.begun, self.done = asyncio.Event(), asyncio.Event()
        self.worker: asyncio.Task[Any] | None = None

    async def look(self) -> None:
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.found is not None:
            raise self.found

    async def work(self) -> str:
        self.worker = asyncio.current_task()
        self.begun.set()
        await self.done.wait()
        return "done"

    async def wait(self, work: Callable[[], Awaitable[str]] | None = None) -> str:
        with InterruptWatcher(self.kernel, self.look) as watcher:
            return await watcher.wait_for((work or self.work)())

    def message(self) -> None:
        if not self.kernel.wakeup.done():
            self.kernel.wakeup.set_result(None)


@pytest.fixture
async def attempt() -> Attempt:
    return Attempt()


@contextmanager
def waiting(attempt: Attempt, work: Callable[[], Awaitable[str]] | None = None) -> Iterator[asyncio.Task[str]]:
    task = asyncio.create_task(attempt.wait(work))
    yield task
    task.cancel()


async def looked(attempt: Attempt, times: int = 1) -> None:
    while attempt.looks < times:
        await asyncio.sleep(0)


async def test_work_needs_no_separate_task(attempt: Attempt) -> None:
    attempt.done.set()
    assert await attempt.wait() == "done"
    assert attempt.worker is asyncio.current_task()
    assert attempt.looks == 0


async def test_store_that_is_unavailable_does_not_cut_the_work(attempt: Attempt) -> None:
    attempt.found = StoreUnavailable()
    with InterruptWatcher(attempt.kernel, attempt.look) as watcher:
        wait = asyncio.create_task(watcher.wait_for(attempt.work()))
        await attempt.begun.wait()
        attempt.message()
        await looked(attempt)
        attempt.done.set()
        assert await wait == "done"
        attempt.found = JoiningMessages()
        with pytest.raises(JoiningMessages):  # the next step looks again
            await watcher.check()


async def test_store_that_is_available_again_is_looked_at_during_the_work(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupt_watcher, "RETRY_SECONDS", 0)
    attempt.found = StoreUnavailable()
    with waiting(attempt) as wait:
        await attempt.begun.wait()
        attempt.message()
        await looked(attempt, 3)
        attempt.found = JoiningMessages()
        with pytest.raises(JoiningMessages):
            await wait


async def test_work_continues_until_a_look_finds_an_interruption(attempt: Attempt) -> None:
    with waiting(attempt) as wait:
        await attempt.begun.wait()
        attempt.message()
        await looked(attempt)
        await asyncio.sleep(0)
        assert not wait.done()
        attempt.found = JoiningMessages()
        attempt.message()
        with pytest.raises(JoiningMessages):
            await wait


async def test_message_before_the_wait_interrupts_it(attempt: Attempt) -> None:
    attempt.found = JoiningMessages()
    with InterruptWatcher(attempt.kernel, attempt.look) as watcher:
        attempt.message()
        with pytest.raises(JoiningMessages):
            await watcher.wait_for(attempt.work())
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_outdated_kernel_ends_the_wait(attempt: Attempt) -> None:
    with waiting(attempt) as wait:
        await attempt.begun.wait()
        attempt.kernel.outdated = True
        attempt.message()
        with pytest.raises(Requeued):
            await wait
    assert attempt.looks == 0


async def test_look_that_is_in_progress_at_the_end_of_the_work_decides(attempt: Attempt) -> None:
    attempt.gate = asyncio.Event()
    with waiting(attempt) as wait:
        await attempt.begun.wait()
        attempt.message()
        await looked(attempt)
        attempt.done.set()
        await asyncio.sleep(0)
        assert not wait.done()
        attempt.found = JoiningMessages()
        attempt.gate.set()
        with pytest.raises(JoiningMessages):
            await wait


async def test_error_of_the_work_comes_before_a_look_in_progress(attempt: Attempt) -> None:
    attempt.gate = asyncio.Event()

    async def fails() -> str:
        await attempt.work()
        raise ValueError("the work failed")

    with waiting(attempt, fails) as wait:
        await attempt.begun.wait()
        attempt.message()
        await looked(attempt)
        attempt.done.set()
        with pytest.raises(ValueError, match="the work failed"):
            await wait


@pytest.mark.parametrize("swallows", [False, True])
async def test_interruption_replaces_what_the_cancelled_work_makes_of_it(attempt: Attempt, *, swallows: bool) -> None:
    async def odd() -> str:
        try:
            return await attempt.work()
        except asyncio.CancelledError:
            if swallows:
                return "anyway"
            raise ValueError("broken off") from None

    attempt.found = JoiningMessages()
    with waiting(attempt, odd) as wait:
        await attempt.begun.wait()
        attempt.message()
        with pytest.raises(JoiningMessages):
            await wait


async def test_end_of_the_process_stays_a_cancellation(attempt: Attempt) -> None:
    with waiting(attempt) as wait:
        await attempt.begun.wait()
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait


async def test_end_of_the_process_comes_before_an_interruption(attempt: Attempt) -> None:
    attempt.found = JoiningMessages()

    async def slow_to_leave() -> str:
        try:
            return await attempt.work()
        finally:
            left.set()
            await asyncio.shield(may_leave)

    left, may_leave = asyncio.Event(), asyncio.get_running_loop().create_future()
    with waiting(attempt, slow_to_leave) as wait:
        await attempt.begun.wait()
        attempt.message()
        await left.wait()
        wait.cancel()
        may_leave.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await wait


async def test_time_limit_inside_the_work_is_kept(attempt: Attempt) -> None:
    async def limited() -> str:
        async with asyncio.timeout(0):
            return await attempt.work()

    with pytest.raises(TimeoutError):
        await attempt.wait(limited)


async def test_interruption_passes_a_time_limit_inside_the_work(attempt: Attempt) -> None:
    async def limited() -> str:
        async with asyncio.timeout(60):
            return await attempt.work()

    attempt.found = JoiningMessages()
    with waiting(attempt, limited) as wait:
        await attempt.begun.wait()
        attempt.message()
        with pytest.raises(JoiningMessages):
            await wait
