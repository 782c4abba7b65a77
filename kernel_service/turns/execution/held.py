"""A turn that waits for an unavailable or busy vendor. It is given up when it waits without success."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.errors import Busy
from kernel_service.turns.execution.endings import GivenUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.errors import VendorUnavailable
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.closing import TurnCloser
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.journal.turn_journal import TurnJournal
    from kernel_service.turns.limits import TurnLimits
    from kernel_service.turns.refusals.model_health import ModelHealth
    from kernel_service.turns.replies.reply_cap import ReplyCap

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HeldTurn:
    """Of one turn."""

    turn: Turn
    journal: TurnJournal
    health: ModelHealth
    cap: ReplyCap
    closer: TurnCloser
    reports: TurnReports
    limits: TurnLimits
    clock: Callable[[], float]

    async def hold(self, away: VendorUnavailable) -> float | None:
        """Returns when to look for the next turn."""
        if await self._has_waited_too_long(away):
            return await self.closer.close(GivenUp(f"{away.problem}_too_long", texts.limits.WAITED_TOO_LONG))
        until, notice = await self.journal.hold(away, may_tell=self._may_tell())
        log.warning("turn held problem=%s turn=%s seconds=%.1f", away.problem, self.turn.id, until - self.clock())
        if notice is not None:
            self.reports.notice(busy=isinstance(away, Busy))
        self.reports.count("held", problem=away.problem)
        return until

    def _may_tell(self) -> bool:
        """The person does not wait for the answer of a turn that the service itself began."""
        return not self.turn.unprompted and self.cap.left(fixed=True) > 0

    async def _has_waited_too_long(self, away: VendorUnavailable) -> bool:
        """Whether the turn has waited too long, or the vendor refuses this turn alone."""
        of_model = away.problem.startswith("model_")
        longest = self.limits.hold_seconds if of_model else self.limits.tools_hold_seconds
        if self.clock() - self.turn.started_at > longest:
            return True
        return await self.health.fails_this_turn_alone(away)
