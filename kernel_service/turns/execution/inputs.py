"""Adds the inputs of the turn to the transcript."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.ports.approvals import REFUSED, Decided
from kernel_service.ports.model import UserInput
from kernel_service.ports.payloads import Text
from kernel_service.ports.tools import ToolResult
from kernel_service.turns.context.quotes import quote_of
from kernel_service.turns.context.times import stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.resuming import Confirmed, Resumed
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.interrupt_watcher import InterruptWatcher


@dataclass(slots=True)
class TurnInputs:
    """Of one turn. Each input carries the time of its message, or of the message that caused it."""

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
            if self.files.any and self.files.untranscribed:
                await self.interrupts.wait_for(self.files.transcribe())
            self.transcript.add_inputs([await self._said(message) for message in self.turn.messages])

    def told(self, message: TurnMessage, text: str) -> None:
        """The service has told the person this without a model, which must know it if they answer."""
        self.transcript.add_inputs([UserInput(message.payload, time=self._time_of(message))])
        self.transcript.say(text)

    def refuse(self, approvals: tuple[Approval, ...], text: str) -> None:
        """The person has decided against these calls, and is told so."""
        if not approvals:
            return
        self.transcript.add_inputs([self._timed(Decided.of(approvals, approved=False))])
        for each in approvals:
            self.transcript.call(each)
            self.transcript.result(each.approved_call_id, ToolResult(REFUSED, ok=False, own=True))
        self.transcript.say(text)

    async def quoted_by(self, message: TurnMessage) -> str:
        """The assistant's text that this message quotes, as a tap on one of its buttons does; empty: unknown."""
        quote = await quote_of(self.quotes, self.turn.person_id, message, self.turn.time_zone)
        said = quote.payload.content if quote is not None and quote.ours else None
        return said.text if isinstance(said, Text) else ""

    def _add_approved(self, approvals: tuple[Approval, ...]) -> None:
        self.transcript.add_inputs([self._timed(Decided.of(approvals, approved=True))])
        for each in approvals:
            self.transcript.call(each)

    async def _add_resumed(self, confirmed: Confirmed) -> None:
        """The person's own messages as theirs, and the model's notes as the assistant's."""
        for noted in confirmed.noted:
            self.transcript.say(noted)
        messages = [await self._said(message) for message in confirmed.messages]
        self.transcript.add_inputs([*messages, self._timed(confirmed.event)])

    async def _said(self, message: TurnMessage) -> UserInput:
        quote = None
        if message.payload.quoted_message_id:
            quote = await quote_of(self.quotes, self.turn.person_id, message, self.turn.time_zone)
        return UserInput(self.files.in_words(message), quote, self._time_of(message))

    def _timed(self, event: Resumed | Decided) -> UserInput:
        return UserInput(event, time=self._time_of(self.turn.messages[0]))

    def _time_of(self, message: TurnMessage) -> str:
        return stamp(message, self.turn.time_zone, self.clock())
