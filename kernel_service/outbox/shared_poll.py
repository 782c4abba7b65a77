"""Streams that pull for the same addresses share their polls of the store: one of them polls for all."""

from __future__ import annotations

import asyncio


class SharedPoll:
    """A hundred idle streams cost the same as one.

    This includes streams of several channel instances, since any of them would find the same replies.
    """

    def __init__(self) -> None:
        self.one_at_a_time = asyncio.Lock()
        self._wakeups = -1
        self._at = float("-inf")
        self.has_backlog = True
        """Whether the latest poll may have left replies that a stream with more credit can lease."""

        self.is_stuck = False
        """Whether no credit was left at the latest poll."""

    def found_all(self, wakeups: int, *, within: float) -> bool:
        """Whether a poll since the latest wakeup, and in the last `within` seconds, found the store empty."""
        return wakeups == self._wakeups and asyncio.get_running_loop().time() - self._at < within

    def note(self, wakeups: int) -> None:
        """Note that the poll leased everything that the store had."""
        self._wakeups, self._at = wakeups, asyncio.get_running_loop().time()
        self.has_backlog = self.is_stuck = False

    def note_stuck(self) -> None:
        """Note that the poll had no credit."""
        self.has_backlog = self.is_stuck = True
