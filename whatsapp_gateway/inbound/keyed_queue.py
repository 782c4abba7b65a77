"""A lock per key: work that shares a key runs in order of arrival, all other work concurrently."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyedQueue:
    """A queue of turns for each key that is held or waited for.

    A turn is in the queues of all its keys at once, and waits only for earlier turns, so there is no deadlock.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Turn]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def turn(self, keys: Iterable[str], timeout: float) -> _Turn:
        """Inside its block no other task holds one of the keys. Raises `TimeoutError` if it did not come in time.

        It is in the queues from the entry of the block, before the first await.
        """
        return _Turn(self._queues, frozenset(keys), timeout)


class _Turn:
    """The block of one task."""

    __slots__ = ("_comes", "_keys", "_queues", "_timeout")

    def __init__(self, queues: dict[str, deque[_Turn]], keys: frozenset[str], timeout: float) -> None:
        self._queues = queues
        self._keys = keys
        self._timeout = timeout
        self._comes: asyncio.Future[None] | None = None
        """None: it does not wait."""

    async def __aenter__(self) -> None:
        is_first = True
        for key in self._keys:
            queue = self._queues.get(key)
            if queue is None:
                self._queues[key] = deque((self,))
            else:
                queue.append(self)
                is_first = False
        if not is_first:
            await self._wait()

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    async def _wait(self) -> None:
        self._comes = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout):
                await self._comes
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        next_ones = []
        for key in self._keys:
            queue = self._queues[key]
            queue.remove(self)
            if queue:
                next_ones.append(queue[0])
            else:
                del self._queues[key]
        for turn in next_ones:
            turn.admit()

    def admit(self) -> None:
        """Called when a turn before it has left."""
        if self._comes is not None and not self._comes.done() and self._is_first():
            self._comes.set_result(None)

    def _is_first(self) -> bool:
        """Whether no earlier turn has one of its keys."""
        return all(self._queues[key][0] is self for key in self._keys)
