"""Attempts with an external end: new messages, "stop", the end of the process, an open call."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.errors import KernelError
from kernel_service.ports.turns import AT_ONCE, TurnStatus

if TYPE_CHECKING:
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.journal.turn_journal import TurnJournal


@dataclass(frozen=True, slots=True)
class InterruptedTurn:
    """Of one turn whose attempt was interrupted. Most methods return when to look for the next turn."""

    journal: TurnJournal
    transcript: Transcript
    reports: TurnReports

    async def join(self) -> float:
        """New messages join the turn: it is opened again, with them."""
        await self.journal.count()
        self.reports.count("joined")
        return AT_ONCE

    async def stop(self) -> float | None:
        """End the turn as STOPPED. Items that are not stored yet stay out of the history."""
        self.transcript.drop_unstored()
        due = await self.journal.end([], TurnStatus.STOPPED)
        self.reports.ended(TurnStatus.STOPPED)
        return due

    async def requeue(self) -> None:
        """Another kernel continues the turn. It finds the turn open even if the store is unavailable now."""
        with suppress(KernelError):
            await self.journal.requeue()
        self.reports.count("requeued")

    async def requeue_in_doubt(self, until: float) -> float:
        """A call of a dead process may still be in progress until then."""
        await self.journal.requeue(until)
        self.reports.count("in_doubt")
        return until
