"""A lock per key: work that shares a key runs in order of arrival, all other work concurrently."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class _Ticket:
    keys: frozenset[str]
    turn: asyncio.Future[None] | None = None
    """None: it does not wait."""


class KeyedQueue:
    """A queue of tickets for each key that is held or waited for.

    A ticket is in the queues of all its keys at once, and waits only for earlier tickets, so there is no deadlock.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[_Ticket]] = {}

    def __len__(self) -> int:
        return len(self._queues)

    @asynccontextmanager
    async def turn(self, keys: Iterable[str], timeout: float) -> AsyncIterator[None]:
        """Inside the block no other task holds one of the keys. Raises `TimeoutError` if the turn did not come in time.

        The ticket is taken when the block is entered, before the first await.
        """
        ticket = _Ticket(frozenset(keys))
        for key in ticket.keys:
            self._queues.setdefault(key, deque()).append(ticket)
        try:
            if not self._is_first(ticket):
                ticket.turn = asyncio.get_running_loop().create_future()
                async with asyncio.timeout(timeout):
                    await ticket.turn
            yield
        finally:
            self._leave(ticket)

    def _leave(self, ticket: _Ticket) -> None:
        for key in ticket.keys:
            queue = self._queues[key]
            queue.remove(ticket)
            if not queue:
                del self._queues[key]
        for key in ticket.keys & self._queues.keys():
            self._admit(self._queues[key][0])

    def _admit(self, ticket: _Ticket) -> None:
        if ticket.turn is not None and not ticket.turn.done() and self._is_first(ticket):
            ticket.turn.set_result(None)

    def _is_first(self, ticket: _Ticket) -> bool:
        """Whether no earlier ticket has one of its keys."""
        return all(self._queues[key][0] is ticket for key in ticket.keys)
