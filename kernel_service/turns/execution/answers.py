"""The ending of a turn, from the model's answer or from the limit that ended it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.ports.commands import Command
from kernel_service.ports.messages import Reply
from kernel_service.ports.model import NOTHING_TO_TELL
from kernel_service.ports.turns import TurnStatus
from kernel_service.turns.execution.endings import Finished, explained, fixed_reply
from kernel_service.turns.limits import seconds_of_day_left
from kernel_service.turns.replies.answer_replies import answer_replies, letters, with_confirmations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.model import ModelAnswer
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.context.context_window import ContextWindow
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.limits import TurnLimits


@dataclass(slots=True)
class Answers:
    """Of one turn."""

    turn: Turn
    transcript: Transcript
    window: ContextWindow
    files: TurnFiles
    limits: TurnLimits
    clock: Callable[[], float]

    def answered(self, answer: ModelAnswer, subject: Subject) -> Finished:
        if self._is_untold(answer):
            if not self.transcript.has_something_for_the_person():
                return Finished(())
            answer = replace(answer, text="")
        beside = self.transcript.for_the_person()
        replies = answer_replies(answer, beside, self.transcript, self.window.seen, self.limits.output_chars)
        if answer.says_nothing and replies[0].text:
            self.transcript.say(replies[0].text)
        parked = self._parked(beside.parked, subject) if beside.parked else ()
        return Finished(tuple(replies), parked=parked, prompts=self._until(beside.prompts))

    def _is_untold(self, answer: ModelAnswer) -> bool:
        """Whether an event is not what the person waits for: the vendor's settings seldom say it all."""
        is_event = self.turn.messages[0].command is Command.TRIGGERED
        return is_event and letters(answer.text) == letters(NOTHING_TO_TELL)

    def broken_off(self, text: str, problem: str) -> Finished:
        """An ending without an answer of the model. Its earlier approval prompts and confirmations are still sent."""
        beside = self.transcript.for_the_person()
        text = with_confirmations(explained(self.turn, text), beside.confirmed)
        return Finished((Reply(text),), TurnStatus.FAILED, problem, prompts=self._until(beside.prompts))

    def over_budget(self) -> Finished:
        """A turn without a completed step leaves no trace in the history: the person may ask again tomorrow."""
        text = texts.limits.budget_spent(seconds_of_day_left(self.clock()))
        if self.turn.begun:
            return self.broken_off(text, "budget_spent")
        self.transcript.drop_unstored()
        return replace(fixed_reply(explained(self.turn, text)), over_budget=True)

    def _until(self, prompts: Sequence[ApprovalPrompt]) -> tuple[ApprovalPrompt, ...]:
        """With the time at which they expire."""
        if not prompts:
            return ()
        limits = self.limits
        seconds = limits.unprompted_approval_seconds if self.turn.unprompted else limits.approval_seconds
        expires_at = self.clock() + seconds
        return tuple(prompt.until(expires_at) for prompt in prompts)

    def _parked(self, parked: Sequence[ParkedRequest], subject: Subject) -> tuple[ParkedRequest, ...]:
        messages, tainted = tuple(self._own_messages(subject)), self.transcript.tainted
        return tuple(replace(each, messages=messages, tainted=tainted) for each in parked)

    def _own_messages(self, subject: Subject) -> Iterator[TurnMessage]:
        """The person's messages with the request; in the turn of a code, also those that the code resumes."""
        yield from subject.resumed.messages if subject.resumed else ()
        for message in self.turn.messages:
            if message.command in (Command.NONE, Command.SCHEDULED):  # an event holds no words of the person
                yield replace(message, payload=self.files.in_words(message))
