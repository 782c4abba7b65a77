"""Splits bulk reports of a channel into slices for the store, so that other writers run in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

SLICE: Final = 20
"""Acknowledgements or receipts per transaction."""
AT_ONCE: Final = 8
"""Concurrent slices of one channel: other writers may wait for them. Many small calls still share a commit."""


class Slices:
    """One per process."""

    def __init__(self) -> None:
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def each(
        self, channel: str, given: Sequence[T], write: Callable[[str, Sequence[T]], Awaitable[R]]
    ) -> list[R]:
        """The results of `write` for each slice, in order. If one slice fails, the earlier ones are written."""
        done = []
        for start in range(0, len(given), SLICE):
            async with self._places[channel]:
                done.append(await write(channel, given[start : start + SLICE]))
        return done
