"""Read receipts and "typing…", one call of the Graph API for both, made in the background.

The kernel service requests them: when work on a message begins, and every TYPING_INTERVAL while it lasts. A message
whose answer comes before any request, as that of "stop" does, is marked as read without the indicator.
"""

import asyncio
from functools import partial
from typing import Final

from serving.cancellation import cancel_and_wait
from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.metrics import Metrics

MOST_AT_ONCE: Final = 256
MOST_REMEMBERED: Final = 10_000
"""Messages that are known to be marked as read. To mark one again is harmless."""
LATE_SECONDS: Final = 1.0
"""How long an answer waits for the call in progress: WhatsApp would show the indicator after the answer for 25 s."""


class TypingIndicator:
    """Requests beyond MOST_AT_ONCE concurrent calls are dropped: a late indicator is useless."""

    def __init__(self, graph: GraphApi, metrics: Metrics) -> None:
        self._graph = graph
        self._metrics = metrics
        self._calls: dict[tuple[str, str], set[asyncio.Task[None]]] = {}
        """The calls in progress of each chat: our number and a person."""
        self._call_count = 0
        self._read: dict[str, None] = {}

    def show(self, number: str, user_id: str, message_id: str, *, typing: bool = True) -> None:
        """Mark a message as read and, with `typing`, show the indicator, without waiting for the result."""
        if self._call_count >= MOST_AT_ONCE:
            self._metrics.typing.labels("dropped").inc()
            return
        task = asyncio.create_task(self._mark_read(number, message_id, typing=typing))
        self._call_count += 1
        self._calls.setdefault((number, user_id), set()).add(task)
        task.add_done_callback(partial(self._ended, (number, user_id)))

    def _ended(self, chat: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._call_count -= 1
        calls = self._calls[chat]
        calls.discard(task)
        if not calls:
            del self._calls[chat]

    async def settle(self, number: str, user_id: str, answered_id: str = "") -> None:
        """Before an answer: wait until calls of this chat are done, or give them up after LATE_SECONDS.

        Then mark the message that it answers as read, if the answer comes before the indicator.
        """
        if calls := self._calls.get((number, user_id)):
            _, late = await asyncio.wait(calls, timeout=LATE_SECONDS)
            for task in late:
                task.cancel()
        if answered_id and answered_id not in self._read:
            self.show(number, user_id, answered_id, typing=False)

    async def close(self) -> None:
        """Cancel the calls in progress."""
        await cancel_and_wait(*(task for calls in self._calls.values() for task in calls))

    async def _mark_read(self, number: str, message_id: str, *, typing: bool) -> None:
        marked = await self._graph.mark_read(number, message_id, typing=typing)
        if marked:
            self._read[message_id] = None
            if len(self._read) > MOST_REMEMBERED:
                del self._read[next(iter(self._read))]
        self._metrics.typing.labels(("shown" if typing else "read") if marked else "failed").inc()
