"""Ends a turn: replies, approval prompts, parked requests and the end of its messages, in one transaction."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service.ports.progress import ApprovalNeeded
from kernel_service.ports.turns import AT_ONCE
from kernel_service.turns.execution.endings import GivenUp, explained
from kernel_service.turns.execution.schedules import dated
from kernel_service.turns.replies.answer_replies import with_prompts

if TYPE_CHECKING:
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.turns import Turn
    from kernel_service.turns.execution.endings import Ending, Finished
    from kernel_service.turns.execution.reports import TurnReports
    from kernel_service.turns.journal.turn_journal import TurnJournal
    from kernel_service.turns.replies.live_answer import LiveAnswer
    from kernel_service.turns.replies.reply_cap import ReplyCap

log = logging.getLogger(__name__)


@dataclass(slots=True)
class TurnCloser:
    """Of one turn."""

    turn: Turn
    journal: TurnJournal
    cap: ReplyCap
    live: LiveAnswer
    reports: TurnReports

    async def close(self, ending: Ending) -> float | None:
        """Returns when to look for the next turn.

        `JoiningMessages` or `Stopped`: a message interrupts an ending that is COMPLETED.
        """
        if isinstance(ending, GivenUp):
            return await self._give_up(ending)
        return await self._finish(ending)

    async def _finish(self, ending: Finished) -> float | None:
        replies = with_prompts(list(ending.replies), ending.prompts)
        if ending.preface:
            replies = _prefaced(replies, ending.preface)
        replies = dated(self.turn, self.cap.kept(replies, fixed=ending.fixed))
        self.live.complete(replies[0].text if replies else "")
        due = await self.journal.end(
            replies, ending.status,
            problem=ending.problem, fixed=ending.fixed, parked=ending.parked, prompts=ending.prompts,
        )  # fmt: skip
        self.live.keep()
        for prompt in ending.prompts:
            self.reports.happened(ApprovalNeeded.of(prompt))
        self.reports.ended(ending.status, ending.kind, ending.problem)
        return due

    async def _give_up(self, ending: GivenUp) -> float:
        turn = self.turn
        log.warning("turn failed problem=%s turn=%s person=%s", ending.problem, turn.id, turn.person_id)
        if len(turn.messages) > 1 and not turn.closed:
            await self.journal.split(ending.problem)
            self.reports.count("split", problem=ending.problem)
        else:
            await self.journal.give_up(ending.problem, explained(turn, ending.text))
            self.reports.ended("dead", "gave_up", ending.problem)
        return AT_ONCE


def _prefaced(replies: list[Reply], preface: str) -> list[Reply]:
    return [replace(replies[0], text=f"{preface}\n\n{replies[0].text}"), *replies[1:]]
