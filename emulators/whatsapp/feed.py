"""Publishes events to every open page."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One event for the page to show. `data` is JSON."""

    kind: str
    data: dict[str, Any]


class Subscription:
    """The events since it began. It ends when the feed closes, or when its reader falls too far behind."""

    def __init__(self, limit: int) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._limit = limit
        self._ended = False

    def put(self, event: Event) -> None:
        if self._events.qsize() < self._limit:
            self._events.put_nowait(event)
        else:
            self.end()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._events.put_nowait(None)

    async def each(self, pause: float) -> AsyncIterator[Event | None]:
        """The events in order, and None whenever no event came for `pause` seconds."""
        while True:
            try:
                async with asyncio.timeout(pause):
                    event = await self._events.get()
            except TimeoutError:
                yield None
                continue
            if event is None:
                return
            yield event


class Feed:
    """Publishes to all subscriptions. `watched` is set while there is at least one."""

    def __init__(self, limit: int = 1000) -> None:
        self.watched = asyncio.Event()
        self._limit = limit
        self._subscriptions: set[Subscription] = set()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        for subscription in self._subscriptions:
            subscription.put(Event(kind, data))

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        subscription = Subscription(self._limit)
        self._subscriptions.add(subscription)
        self.watched.set()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            if not self._subscriptions:
                self.watched.clear()

    def close(self) -> None:
        for subscription in self._subscriptions:
            subscription.end()
