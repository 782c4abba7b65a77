"""Puts into the transcript what the turn is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernel_service.ports.approvals import REFUSED, decided
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.context.quotes import with_quote
from kernel_service.turns.context.times import stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.resuming import Confirmed
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.interrupt_watcher import InterruptWatcher


@dataclass(frozen=True, slots=True)
class TurnInputs:
    """Of one turn. Each input bears the time of the message that it is, or that brought it about."""

    turn: Turn
    transcript: Transcript
    files: TurnFiles
    quotes: QuoteStore
    interrupts: InterruptWatcher
    clock: Callable[[], float]

    async def add(self, subject: Subject) -> None:
        if subject.resumed is not None:
            await self._add_resumed(subject.resumed)
        elif subject.approved:
            self._add_approved(subject.approved)
        else:
            await self.interrupts.wait_for(self.files.transcribe())
            self.transcript.hear([await self._content(message) for message in self.turn.messages])

    def refuse(self, approvals: tuple[Approval, ...], text: str) -> None:
        """The person has decided against these calls, and is told so."""
        if not approvals:
            return
        self.transcript.hear([self._timed(decided(approvals, approved=False))])
        for each in approvals:
            self.transcript.call(each)
            self.transcript.result(each.approved_call_id, ToolResult(REFUSED, ok=False, own=True))
        self.transcript.say(text)

    def _add_approved(self, approvals: tuple[Approval, ...]) -> None:
        self.transcript.hear([self._timed(decided(approvals, approved=True))])
        for each in approvals:
            self.transcript.call(each)

    async def _add_resumed(self, confirmed: Confirmed) -> None:
        """The person's own messages as theirs, and what the model had noted as the assistant's."""
        for noted in confirmed.noted:
            self.transcript.say(noted)
        contents = [await self._content(message) for message in confirmed.messages]
        self.transcript.hear([*contents, self._timed(confirmed.content)])

    async def _content(self, message: TurnMessage) -> dict[str, Any]:
        words, zone = self.files.in_words(message), self.turn.time_zone
        if words.get("quoted_message_id"):
            words = await with_quote(self.quotes, self.turn.person_id, message, words, zone)
        return self._timed(words, message)

    def _timed(self, content: dict[str, Any], message: TurnMessage | None = None) -> dict[str, Any]:
        message = message or self.turn.messages[0]
        return content | {"time": stamp(message, self.turn.time_zone, self.clock())}
