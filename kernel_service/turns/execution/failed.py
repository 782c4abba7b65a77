"""A failed attempt: it is counted, so that a turn that always fails is given up."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.errors import LeaseLost, SealingKeyUnknown, StoreUnavailable
from kernel_service.ports.model import UnusableAnswerError

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.journal.turn_journal import TurnJournal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailedTurn:
    """Of one turn."""

    turn: Turn
    journal: TurnJournal
    reports: TurnReports

    async def fail(self, error: Exception) -> float:
        """Returns when the next attempt may start.

        Re-raises an error that is transient or needs an operator, since the turn did not cause it. LeaseLost: another
        kernel has the person, or they were deleted, which often is why it failed.
        """
        if isinstance(error, StoreUnavailable | LeaseLost | SealingKeyUnknown):
            raise error
        problem = "model_answers_nonsense" if isinstance(error, UnusableAnswerError) else "turn_broke"
        lost = False
        try:
            until = await self.journal.fail(problem)
        except LeaseLost:
            lost = True
            raise
        finally:
            if not lost:
                self._log(error)
        self.reports.count("broke", problem=problem)
        return until

    def _log(self, error: Exception) -> None:
        turn = self.turn
        if isinstance(error, UnusableAnswerError):
            log.warning("model answer unusable: %s turn=%s person=%s", error.flaw, turn.id, turn.person_id)
        else:
            log.error("turn attempt failed turn=%s person=%s", turn.id, turn.person_id, exc_info=error)
