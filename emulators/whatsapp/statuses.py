"""Reports to the business about its messages: sent, delivered, read, failed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulators.effects import Effects
from emulators.whatsapp.chat import ChatMessage
from emulators.whatsapp.payloads import User, status_value
from emulators.whatsapp.webhooks import Webhooks
from serving.cancellation import cancel_and_wait

EVERYBODY = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A status to be delivered: the person and the message that it concerns, and the webhook's value."""

    person: str
    message_id: str
    key: str
    status: str
    value: dict[str, Any]


class Statuses:
    """Reports statuses by webhook, those of one message in order. Tests may withhold and release them.

    Effects: status_withheld, and status_taken once the business has answered 200 (key: the callback data, or the
    message's id).
    """

    def __init__(self, webhooks: Webhooks, effects: Effects, clock: Callable[[], float]) -> None:
        self._webhooks = webhooks
        self._effects = effects
        self._clock = clock
        self._reports: dict[str, asyncio.Task[None]] = {}
        self._withholding: set[str] = set()
        self._withheld: list[Report] = []

    def report(self, user: User, message: ChatMessage, status: str, error: dict[str, Any] | None = None) -> None:
        """Report a message's status in the background."""
        value = status_value(user, message, status, self._clock(), error)
        report = Report(user.user_id, message.id, message.callback or message.id, status, value)
        if self._withholding & {EVERYBODY, user.user_id}:
            self._withheld.append(report)
            self._effects.record("status_withheld", person=report.person, key=report.key, status=status)
        else:
            self._send(report)

    def withhold(self, person: str = EVERYBODY) -> None:
        """Withhold reports from now on: those about one person, by their BSUID, or all."""
        self._withholding.add(person)

    def release(self) -> None:
        """Deliver the withheld reports in their order, and stop withholding."""
        withheld, self._withheld = self._withheld, []
        self._withholding.clear()
        for report in withheld:
            self._send(report)

    async def close(self) -> None:
        await cancel_and_wait(*self._reports.values())

    def _send(self, report: Report) -> None:
        sending = asyncio.create_task(self._after(self._reports.get(report.message_id), report))
        self._reports[report.message_id] = sending
        sending.add_done_callback(lambda done: self._forget(report.message_id, done))

    async def _after(self, previous: asyncio.Task[None] | None, report: Report) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        await self._webhooks.deliver(report.value)
        self._effects.record("status_taken", person=report.person, key=report.key, status=report.status)

    def _forget(self, message_id: str, done: asyncio.Task[None]) -> None:
        if self._reports.get(message_id) is done:
            del self._reports[message_id]
