"""What a channel says of many things in one call, brought to the store in slices: others write in between."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")

SLICE: Final = 20
"""Acknowledgements or receipts of one transaction."""
AT_ONCE: Final = 8
"""Slices of one channel that others may have to wait for; many small calls still share a commit."""


class Slices:
    """One per process."""

    def __init__(self) -> None:
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def each(
        self, channel: str, given: Sequence[T], write: Callable[[str, Sequence[T]], Awaitable[R]]
    ) -> list[R]:
        """What `write` returns for each slice, in order. If one fails, those before it are written."""
        done = []
        for start in range(0, len(given), SLICE):
            async with self._places[channel]:
                done.append(await write(channel, given[start : start + SLICE]))
        return done
