"""Queues units for a writer: those of one iteration of the loop arrive together, and wake the writer once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kernel_service.storage.engine.batch import BATCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.engine.batch import Work

LINGER_SECONDS: Final = 0.02
"""The longest wait of a unit that no caller awaits for one that is awaited, whose commit it shares."""


class Gathering:
    """`hand_over` takes a group of at most `BATCH` units, in the order in which they were put. Not thread-safe."""

    def __init__(self, hand_over: Callable[[list[Work]], None]) -> None:
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self._works: list[Work] = []
        self._leaving = False
        self._lingering: asyncio.TimerHandle | None = None

    def put(self, work: Work) -> None:
        self._works.append(work)
        if not self._leaving:
            self._leaving = True
            self._loop.call_soon(self.leave)

    def put_behind(self, work: Work) -> None:
        """The unit leaves with the next one that is `put`, or after `LINGER_SECONDS`."""
        self._works.append(work)
        if not self._leaving and self._lingering is None:
            self._lingering = self._loop.call_later(LINGER_SECONDS, self.leave)

    def leave(self) -> None:
        self._leaving = False
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        works, self._works = self._works, []
        for start in range(0, len(works), BATCH):
            self._hand_over(works[start : start + BATCH])
