"""Read receipts and "typing…": a courtesy, done in the background and never waited for."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.metrics import Metrics

MOST_AT_ONCE: Final = 256
REFRESH_SECONDS: Final = 20.0
"""WhatsApp shows it for 25 s."""
LONGEST_SECONDS: Final = 180.0
"""From when it was last asked for: an answer may leave through another gateway, and this one hears nothing of it."""
MOST_WAITING: Final = 20


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
"""Calls back after so many seconds, as a loop's call_later."""


@dataclass(slots=True)
class _Chat:
    """The messages of one person that wait for an answer, in order; the last one bears the indicator."""

    waiting: list[str] = field(default_factory=list)
    shown_for: float = 0.0
    timer: Timer | None = None


class TypingIndicator:
    """Kept up from a message until its answer leaves.

    What would exceed MOST_AT_ONCE calls under way is dropped: late typing helps nobody.
    """

    def __init__(self, graph: GraphApi, metrics: Metrics, later: Later | None = None) -> None:
        self._graph = graph
        self._metrics = metrics
        self._later = later
        self._tasks: set[asyncio.Task[None]] = set()
        self._chats: dict[tuple[str, str], _Chat] = {}

    def show(self, number: str, user_id: str, message_id: str) -> None:
        """Mark a message as read and show that it is being answered, for at most LONGEST_SECONDS."""
        chat = self._chats.setdefault((number, user_id), _Chat())
        if message_id not in chat.waiting:
            chat.waiting = [*chat.waiting, message_id][-MOST_WAITING:]
        chat.shown_for = 0.0
        self._refresh(number, user_id)

    def answered(self, number: str, user_id: str, message_id: str) -> None:
        """The answer to a message leaves: neither it nor an earlier one is being answered any more."""
        chat = self._chats.get((number, user_id))
        if chat is None or message_id not in chat.waiting:
            return
        chat.waiting = chat.waiting[chat.waiting.index(message_id) + 1 :]
        if not chat.waiting:
            self._end(number, user_id)

    async def close(self) -> None:
        """Drop what is under way."""
        for number, user_id in list(self._chats):
            self._end(number, user_id)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _refresh(self, number: str, user_id: str) -> None:
        chat = self._chats[number, user_id]
        if chat.timer is not None:
            chat.timer.cancel()
        if chat.shown_for >= LONGEST_SECONDS:
            return self._end(number, user_id)
        chat.shown_for += REFRESH_SECONDS
        later = self._later or asyncio.get_running_loop().call_later
        chat.timer = later(REFRESH_SECONDS, lambda: self._refresh(number, user_id))
        return self._call(number, chat.waiting[-1])

    def _end(self, number: str, user_id: str) -> None:
        chat = self._chats.pop((number, user_id))
        if chat.timer is not None:
            chat.timer.cancel()

    def _call(self, number: str, message_id: str) -> None:
        if len(self._tasks) >= MOST_AT_ONCE:
            self._metrics.typing.labels("dropped").inc()
            return
        task = asyncio.create_task(self._show(number, message_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _show(self, number: str, message_id: str) -> None:
        shown = await self._graph.show_typing(number, message_id)
        self._metrics.typing.labels("shown" if shown else "failed").inc()
