"""Limits the time of the waits for a caller. One timer serves all waits of a limit."""

from __future__ import annotations

import asyncio

from kernel_service.errors import Stalled


class TimeLimit:
    """Ends each wait that takes longer than `seconds`, with `sentence` for the caller. Of one event loop."""

    def __init__(self, seconds: float, sentence: str) -> None:
        self.sentence = sentence
        self._seconds = seconds
        self._waits: dict[Wait, None] = {}  # the oldest first, which is also the first to end
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> Wait:
        """Inside the block the task may wait this long. Raises `Stalled`."""
        return Wait(self)

    def begin(self, wait: Wait) -> None:
        loop = asyncio.get_running_loop()
        wait.ends = loop.time() + self._seconds
        self._waits[wait] = None
        if self._timer is None:
            self._timer = loop.call_at(wait.ends, self._ring, loop)

    def end(self, wait: Wait) -> None:
        self._waits.pop(wait, None)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while (oldest := next(iter(self._waits), None)) is not None:
            if oldest.ends > loop.time():
                self._timer = loop.call_at(oldest.ends, self._ring, loop)
                return
            del self._waits[oldest]
            oldest.expire()


class Wait:
    """One wait, as in `asyncio.timeout`: the task is cancelled, and the block raises `Stalled` instead."""

    __slots__ = ("_cancellations", "_expired", "_limit", "_task", "ends")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._expired = False
        self.ends = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a wait belongs to a task")
        self._task, self._cancellations = task, task.cancelling()
        self._limit.begin(self)

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._limit.end(self)
        if self._expired and self._task.uncancel() <= self._cancellations and kind is asyncio.CancelledError:
            raise Stalled(self._limit.sentence) from None
