"""Limits the waits for a caller to send and to read. One timer serves all waits of a limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kernel_service.errors import Stalled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


class TimeLimit:
    """Ends each wait that takes longer than `seconds`, with `sentence` for the caller. Of one event loop."""

    def __init__(self, seconds: float, sentence: str) -> None:
        self.sentence = sentence
        self.seconds = seconds
        self.waits: dict[Wait, None] = {}
        """The current ones, the oldest first, which is also the first to end."""
        self.timer: asyncio.TimerHandle | None = None

    def wait(self) -> Wait:
        """Inside the block the task may wait this long. Raises `Stalled`. The block may be entered again later."""
        return Wait(self)

    async def each(self, responses: AsyncIterator[Any], write: Callable[[Any], Awaitable[object]]) -> None:
        """Write each response, which may take this long. To make one may take any time. Raises `Stalled`."""
        in_time = self.wait()
        async for response in responses:
            with in_time:
                await write(response)

    def ring(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the waits that are over. Set the timer for the next one."""
        self.timer = None
        while (oldest := next(iter(self.waits), None)) is not None:
            if oldest.ends > loop.time():
                self.timer = loop.call_at(oldest.ends, self.ring, loop)
                return
            del self.waits[oldest]
            oldest.expire()


class Wait:
    """Successive waits, each as in `asyncio.timeout`: the task is cancelled, and the block raises `Stalled` instead."""

    __slots__ = ("_cancellations", "_expired", "_limit", "_task", "ends")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self.ends = 0.0
        """By the loop's time."""

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a wait belongs to a task")
        self._task, self._cancellations, self._expired = task, task.cancelling(), False
        loop, limit = task.get_loop(), self._limit
        self.ends = loop.time() + limit.seconds
        limit.waits[self] = None
        if limit.timer is None:
            limit.timer = loop.call_at(self.ends, limit.ring, loop)

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._limit.waits.pop(self, None)
        if self._expired and self._task.uncancel() <= self._cancellations and kind is asyncio.CancelledError:
            raise Stalled(self._limit.sentence) from None


class InTime:
    """The requests of a stream, each with a time limit. Raises `Stalled`."""

    def __init__(
        self, read: Callable[[], Awaitable[Any]], first: TimeLimit, *, later: TimeLimit | None, end: object
    ) -> None:
        """The limits of the first request and of each `later` one; None: unlimited. `read` returns `end` at the end."""
        self._read = read
        self._end = end
        self._in_time: Wait | None = first.wait()
        self._later = later.wait() if later else None

    def __aiter__(self) -> InTime:
        return self

    async def __anext__(self) -> Any:
        if self._in_time is None:
            request = await self._read()
        else:
            with self._in_time:
                request = await self._read()
            self._in_time = self._later
        if request is self._end:
            raise StopAsyncIteration
        return request
