"""A lock per key: work that shares a key runs in order of arrival, all other work concurrently."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyedQueue:
    """A queue of places for each key that is held or waited for.

    A task takes its place in the queues of all its keys at once and waits only for earlier ones, so there is no
    deadlock.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Place]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def place(self, keys: Iterable[str], timeout: float) -> _Place:
        """Inside its block no other task holds one of the keys. Raises `TimeoutError` if it did not come in time.

        It is in the queues from the entry of the block, before the first await.
        """
        return _Place(self._queues, frozenset(keys), timeout)


class _Place:
    """One task's, from the entry of its block to the end."""

    __slots__ = ("_comes", "_keys", "_queues", "_timeout")

    def __init__(self, queues: dict[str, deque[_Place]], keys: frozenset[str], timeout: float) -> None:
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
        for place in next_ones:
            place.admit()

    def admit(self) -> None:
        """Called when one before it has left."""
        if self._comes is not None and not self._comes.done() and self._is_first():
            self._comes.set_result(None)

    def _is_first(self) -> bool:
        """Whether none before it has one of its keys."""
        return all(self._queues[key][0] is self for key in self._keys)
