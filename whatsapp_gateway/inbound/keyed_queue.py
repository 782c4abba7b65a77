"""Whoever shares a key goes one after the other, in the order in which they came; all others side by side."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class _Place:
    keys: frozenset[str]
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class KeyedQueue:
    """A line for each key that somebody waits for or holds, and nothing for any other.

    A place stands in the lines of all its keys at once, and only ever waits for places that were taken before it: so
    none waits for itself by way of others.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[_Place]] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, keys: Iterable[str], timeout: float) -> AsyncIterator[None]:
        """Inside the block nobody else has a turn with one of the keys. TimeoutError: it did not come in time.

        The place is taken when the block is entered, before anything is awaited.
        """
        place = _Place(frozenset(keys))
        for key in place.keys:
            self._lines.setdefault(key, deque()).append(place)
        try:
            self._admit(place)
            async with asyncio.timeout(timeout):
                await place.turn
            yield
        finally:
            self._leave(place)

    def _leave(self, place: _Place) -> None:
        for key in place.keys:
            line = self._lines[key]
            line.remove(place)
            if not line:
                del self._lines[key]
        for key in place.keys & self._lines.keys():
            self._admit(self._lines[key][0])

    def _admit(self, place: _Place) -> None:
        if not place.turn.done() and all(self._lines[key][0] is place for key in place.keys):
            place.turn.set_result(None)
