"""Read receipts and "typing…": a courtesy, done in the background and never waited for."""

import asyncio
from typing import Final

from whatsapp_gateway.graph_api import GraphApi
from whatsapp_gateway.metrics import Metrics

MOST_AT_ONCE: Final = 256


class TypingIndicator:
    """What would exceed MOST_AT_ONCE calls under way is dropped: late typing helps nobody."""

    def __init__(self, graph: GraphApi, metrics: Metrics) -> None:
        self._graph = graph
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def show(self, number: str, message_id: str) -> None:
        """Mark a message as read and show that it is being answered."""
        if len(self._tasks) >= MOST_AT_ONCE:
            self._metrics.typing.labels("dropped").inc()
            return
        task = asyncio.create_task(self._show(number, message_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _show(self, number: str, message_id: str) -> None:
        shown = await self._graph.show_typing(number, message_id)
        self._metrics.typing.labels("shown" if shown else "failed").inc()
