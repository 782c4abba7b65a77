"""Gathers items that come one by one, so that many of them share one call of the kernel service."""

import asyncio
import math
from collections.abc import Callable
from typing import Final, Generic, TypeVar

GATHER_SECONDS: Final = 0.2
"""The longest time that an item is held. WhatsApp waits for the answer to a status, and most of its webhooks should be
answered in 250 ms.
"""
URGENT_SECONDS: Final = 0.02
"""The same for urgent items, such as failures. A flood of them shares calls, too."""

_Item = TypeVar("_Item")


class Gathering(Generic[_Item]):
    """Passes on what was added: at once after a quiet period, under load once every `seconds`, or when it is full.

    Items that are added in the same step of the event loop are passed on together. `most` limits their total size.
    """

    def __init__(self, pass_on: Callable[[list[_Item]], None], *, most: int, seconds: float) -> None:
        self._pass_on = pass_on
        self._most = most
        self._seconds = seconds
        self._items: list[_Item] = []
        self._size = 0
        self._passed_at = -math.inf
        self._due = math.inf
        self._timer: asyncio.Handle | None = None

    def add(self, item: _Item, size: int = 1, *, urgent: bool = False) -> None:
        """Add one item; returns at once."""
        if self._size + size > self._most:
            self.flush()
        self._items.append(item)
        self._size += size
        if self._size >= self._most:
            self.flush()
        else:
            self._schedule(urgent=urgent)

    def flush(self) -> None:
        """Pass on at once what was added."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf
        items, self._items, self._size = self._items, [], 0
        if items:
            self._passed_at = asyncio.get_running_loop().time()
            self._pass_on(items)

    def _schedule(self, *, urgent: bool) -> None:
        """All instances have the same times, so that the calls that they make can share a transaction."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = self._passed_at + (min(URGENT_SECONDS, self._seconds) if urgent else self._seconds)
        if due > now and not urgent:
            due = (now // self._seconds + 1) * self._seconds
        if due >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = loop.call_at(due, self.flush) if due > now else loop.call_soon(self.flush)
