"""Alternates between the model and its tools. Each step is durable before the next one acts on it."""

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
    from kernel_service.turns.replies.live_answer import LiveAnswer


@dataclass(frozen=True, slots=True)
class BrokenOff:
    """A limit ended the loop before the model had answered."""

    text: str
    problem: str


@dataclass(slots=True)
class ModelLoop:
    """Of one attempt, which may last until `deadline` (epoch seconds)."""

    step: ModelStep
    calls: Callable[[], ToolCalls]
    transcript: Transcript
    journal: TurnJournal
    live: LiveAnswer
    most_steps: int
    deadline: float
    clock: Callable[[], float]

    async def run(self, subject: Subject) -> ModelAnswer | BrokenOff:
        """The first answer that calls no tool."""
        self.live.preface = subject.preface
        for number in range(self.most_steps):
            if self.clock() > self.deadline:
                return BrokenOff(texts.answers.TOO_LONG, "too_long")
            # The person must learn the result of an approved call, even over the budget.
            answer = await self.step.answer(anyway=number == 0 and bool(subject.approved))
            if not answer.says_nothing:
                self.transcript.note(answer)
            if not answer.calls:
                return answer
            self.live.void()
            await self.journal.step()
            await self.calls().make_all(answer.calls)
        return BrokenOff(texts.answers.TOO_MANY_STEPS, "too_many_steps")
