"""Limits the time of the waits for a caller. One timer serves all waits of a limit."""

from __future__ import annotations

import asyncio

from kernel_service.errors import Stalled


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
