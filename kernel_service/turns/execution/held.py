"""A turn that waits for a vendor that is away or busy; it is given up when it waits without success."""

from __future__ import annotations

import logging
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
    from kernel_service.turns.limits import Limits
    from kernel_service.turns.refusals.model_health import ModelHealth
    from kernel_service.turns.replies.reply_cap import ReplyCap

log = logging.getLogger(__name__)


class HeldTurn:
    """Of one turn."""

    def __init__(  # noqa: PLR0917 - how long it waits, and who is told
        self,
        turn: Turn,
        journal: TurnJournal,
        health: ModelHealth,
        cap: ReplyCap,
        closer: TurnCloser,
        reports: TurnReports,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._turn = turn
        self._journal = journal
        self._health = health
        self._cap = cap
        self._closer = closer
        self._reports = reports
        self._limits = limits
        self._clock = clock

    async def hold(self, away: VendorUnavailable) -> None:
        if await self._waits_in_vain(away):
            return await self._closer.close(GivenUp(f"{away.problem}_too_long", texts.WAITED_TOO_LONG))
        wait, notice = await self._journal.hold(away, may_tell=self._cap.left(fixed=True) > 0)
        log.warning("turn held problem=%s turn=%s seconds=%.1f", away.problem, self._turn.id, wait)
        if notice is not None:
            self._reports.notice(busy=isinstance(away, Busy))
        return self._reports.count("held")

    async def _waits_in_vain(self, away: VendorUnavailable) -> bool:
        """Whether it has waited too long, or its vendor answers every request but this turn's."""
        of_model = away.problem.startswith("model_")
        longest = self._limits.hold_seconds if of_model else self._limits.tools_hold_seconds
        if self._clock() - self._turn.started_at > longest:
            return True
        return await self._health.fails_this_turn_alone(away)
