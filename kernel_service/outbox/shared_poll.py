"""Streams that pull for the same addresses share their polls of the store: one of them asks for all."""

from __future__ import annotations

import asyncio


class SharedPoll:
    """So a hundred idle streams cost as much as one.

    Streams of several channel instances are no different: what one of them finds, any other would have found.
    """

    def __init__(self) -> None:
        self.one_at_a_time = asyncio.Lock()
        self._wakeups = -1
        self._at = float("-inf")

    def found_all(self, wakeups: int, *, within: float) -> bool:
        """Whether the store has been asked since the latest wakeup, and `within` so many seconds, and had no more."""
        return wakeups == self._wakeups and asyncio.get_running_loop().time() - self._at < within

    def note(self, wakeups: int) -> None:
        """The store had no more than was leased."""
        self._wakeups, self._at = wakeups, asyncio.get_running_loop().time()
