"""One task per person (single-flight): concurrent wakeups of a person share one task."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from kernel_service.rate_limits.current_tenant import as_tenant
from kernel_service.rate_limits.wait_histogram import WaitHistogram

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

queued: ContextVar[float] = ContextVar("queued", default=0.0)
"""Seconds that the current person waited for the others."""


class PersonTasks:
    """At most `max_running` people are served at once. The others wait in order of arrival."""

    def __init__(self, serve: Callable[[str], Awaitable[None]], *, max_running: int) -> None:
        self._serve = serve
        self._slots = asyncio.Semaphore(max_running)
        self._running = 0
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._woken: set[str] = set()
        self._closed = False
        self._queued_since: dict[str, float] = {}
        self.waits = WaitHistogram()
        """How long people waited for the others."""

    def wake(self, person_id: str) -> bool:
        """Serve the person: now, or once more after their running task. Returns whether one runs already."""
        runs = person_id in self._tasks
        if self._closed and not runs:
            return False
        self._woken.add(person_id)
        if not runs:
            self._tasks[person_id] = asyncio.create_task(self._run(person_id), name=f"kernel {person_id}")
        return runs

    async def _run(self, person_id: str) -> None:
        try:
            with as_tenant(person_id):
                while person_id in self._woken and not self._closed:
                    self._woken.discard(person_id)
                    await self._wait_for_slot(person_id)  # fair: a person who is served again waits after the others
                    self._running += 1
                    try:
                        await self._serve(person_id)
                    finally:
                        self._running -= 1
                        self._slots.release()
        finally:
            del self._tasks[person_id]
            if person_id in self._woken:  # woken between the last check and the end of this task
                self.wake(person_id)

    async def _wait_for_slot(self, person_id: str) -> None:
        asked = self._queued_since[person_id] = time.monotonic()
        try:
            await self._slots.acquire()
        finally:
            del self._queued_since[person_id]
        seconds = time.monotonic() - asked
        queued.set(seconds)
        self.waits.note(seconds)

    @property
    def longest_wait(self) -> float:
        """Seconds that the person who waits longest has waited for the others."""
        return time.monotonic() - next(iter(self._queued_since.values())) if self._queued_since else 0.0

    @property
    def running(self) -> int:
        return self._running

    def __contains__(self, person_id: str) -> bool:
        return person_id in self._tasks

    def forget_wake(self, person_id: str) -> bool:
        """Cancel the person's next run. Returns whether one was due."""
        woken = person_id in self._woken
        self._woken.discard(person_id)
        return woken

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """The number of people who wait for others."""
        return len(self._tasks) - self._running

    def close(self) -> None:
        """Start no further tasks."""
        self._closed = True

    async def end(self, cut_at: float, ends: float) -> None:
        """Wait for the running tasks, and cancel them at `cut_at`, by the loop's clock.

        A task that ignores the cancellation gets half of the time that is left until `ends`.
        """
        running = set(self._tasks.values())
        if not running:
            return
        now = asyncio.get_running_loop().time
        _, late = await asyncio.wait(running, timeout=cut_at - now())
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=(ends - now()) / 2)
