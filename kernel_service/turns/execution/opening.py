"""The subject of a turn, or its ending if it needs no model or a limit is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.ports.commands import Command
from kernel_service.ports.interruptions import Stopped
from kernel_service.ports.turns import TurnStatus
from kernel_service.turns.execution.endings import Finished, GivenUp
from kernel_service.turns.execution.fixed_answers import awaits_answer, fixed_answer
from kernel_service.turns.execution.subject import OF_ITS_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.answers import Answers
    from kernel_service.turns.execution.commands import Commands
    from kernel_service.turns.execution.endings import Ending
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.execution.subject import Subject
    from kernel_service.turns.files.turn_files import TurnFiles
    from kernel_service.turns.limits import TurnLimits
    from kernel_service.turns.replies.reply_cap import ReplyCap


@dataclass(slots=True)
class TurnOpening:
    """Of one turn."""

    turn: Turn
    limits: TurnLimits
    cap: ReplyCap
    commands: Callable[[], Commands]
    files: TurnFiles
    answers: Answers
    reports: TurnReports

    async def subject(self) -> Subject | Ending:
        if self.turn.stopped:
            raise Stopped
        if (exhausted := self._exhausted()) is not None:
            return exhausted
        if awaits_answer(self.turn):
            self.reports.work_begins()
        if self.turn.messages[0].command is not Command.NONE and (executed := await self.commands().execute()):
            return executed
        await self.files.load(self.turn)
        return fixed_answer(self.turn, self.files) or OF_ITS_MESSAGES

    def _exhausted(self) -> Ending | None:
        """The ending of a turn that is over a limit before this attempt does anything."""
        turn, limits = self.turn, self.limits
        if not turn.begun and self.cap.left(fixed=False) <= 0:
            return Finished((), TurnStatus.FAILED, "replies_spent")
        if turn.attempt_count >= limits.attempts:
            return GivenUp("failed_too_often")
        if turn.crashes_alone >= limits.crashes_alone:
            return GivenUp("crashed_too_often")
        if turn.usage.model_calls >= limits.model_calls:
            return self.answers.broken_off(texts.answers.TOO_MANY_STEPS, "too_many_model_calls")
        return None
