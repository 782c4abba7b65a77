"""What the business is told about its messages: sent, delivered, read, failed."""

import asyncio
from collections.abc import Callable
from typing import Any

from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.payloads import User, status_value
from emulators.whatsapp.webhooks import Webhooks


class Statuses:
    """Reports by webhook, those of one message one after another. Tests may withhold and release them."""

    def __init__(self, webhooks: Webhooks, clock: Callable[[], float]) -> None:
        self._webhooks = webhooks
        self._clock = clock
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._withheld: list[tuple[str, dict[str, Any]]] | None = None

    def report(self, user: User, message: ChatMessage, status: str, error: dict[str, Any] | None = None) -> None:
        """Tell in the background what became of a message."""
        value = status_value(user, message, status, self._clock(), error)
        if self._withheld is None:
            self._send(message.id, value)
        else:
            self._withheld.append((message.id, value))

    def withhold(self) -> None:
        """Keep reports back from now on."""
        self._withheld = self._withheld or []

    def release(self) -> None:
        """Report what was kept back, in its order, and what comes."""
        withheld, self._withheld = self._withheld or [], None
        for message_id, value in withheld:
            self._send(message_id, value)

    async def close(self) -> None:
        for report in self._reports.values():
            report.cancel()
        await asyncio.gather(*self._reports.values(), return_exceptions=True)

    def _send(self, message_id: str, value: dict[str, Any]) -> None:
        report = asyncio.create_task(self._after(self._reports.get(message_id), value))
        self._reports[message_id] = report
        report.add_done_callback(lambda done: self._forget(message_id, done))

    async def _after(self, previous: asyncio.Task[None] | None, value: dict[str, Any]) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await self._webhooks.deliver(value)

    def _forget(self, message_id: str, done: asyncio.Task[None]) -> None:
        if self._reports.get(message_id) is done:
            del self._reports[message_id]
