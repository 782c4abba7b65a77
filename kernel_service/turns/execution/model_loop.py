"""The model and its tools in alternation. Each step is durable before the next one acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.model import ModelAnswer
    from kernel_service.turns.calls.tool_calls import ToolCalls
    from kernel_service.turns.context.transcript import Transcript
    from kernel_service.turns.execution.model_step import ModelStep
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.journal.turn_journal import TurnJournal
    from kernel_service.turns.limits import Limits
    from kernel_service.turns.replies.live_answer import LiveAnswer


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A limit ended the loop before the model had answered."""

    text: str
    problem: str


class ModelLoop:
    """Of one attempt; its time runs from here on."""

    def __init__(  # noqa: PLR0917 - who acts, where it is noted, how long
        self,
        step: ModelStep,
        calls: ToolCalls,
        transcript: Transcript,
        journal: TurnJournal,
        live: LiveAnswer,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._step = step
        self._calls = calls
        self._transcript = transcript
        self._journal = journal
        self._live = live
        self._most_steps = limits.steps
        self._clock = clock
        self._deadline = clock() + limits.seconds

    async def run(self, subject: Subject) -> ModelAnswer | BrokenOff:
        """The first answer that calls no tool."""
        self._live.preface = subject.preface
        for number in range(self._most_steps):
            if self._clock() > self._deadline:
                return BrokenOff(texts.TOO_LONG, "too_long")
            # The person must learn what an approved call has done, whatever it costs.
            answer = await self._step.answer(anyway=number == 0 and bool(subject.approved))
            if not answer.says_nothing:
                self._transcript.note(answer)
            if not answer.calls:
                return answer
            self._live.void()
            await self._journal.step()
            await self._calls.make_all(answer.calls)
        return BrokenOff(texts.TOO_MANY_STEPS, "too_many_steps")
