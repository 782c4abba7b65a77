"""A run of a schedule that needs no model, and the buttons of schedules."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.ports.commands import STOP_SCHEDULE
from kernel_service.ports.messages import LATE_REPLY_SECONDS, Reply, ReplyChoice
from kernel_service.ports.payloads import Choice, Scheduled
from kernel_service.schedules.words import moment_in_words
from kernel_service.turns.execution.endings import Finished, fixed_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.ports.schedules import ScheduleStore
    from kernel_service.ports.turns import Turn, TurnMessage
    from kernel_service.turns.execution.endings import Ending
    from kernel_service.turns.execution.inputs import TurnInputs

log = logging.getLogger(__name__)


def dated(turn: Turn, replies: list[Reply]) -> list[Reply]:
    """The replies of a run. The last one says when the run was due, if it reaches the person late."""
    run = turn.messages[0].payload.content
    if not isinstance(run, Scheduled) or not replies or replies[-1].late:
        return replies
    return [*replies[:-1], replace(replies[-1], late=_late(replies[-1].text, run))]


def _late(text: str, run: Scheduled) -> str:
    """For a person who may read it on any day."""
    return texts.schedules.late(text, moment_in_words(run.due_at, run.time_zone, now=None))


@dataclass(frozen=True, slots=True)
class Schedules:
    """Of one turn."""

    turn: Turn
    store: ScheduleStore
    inputs: TurnInputs
    clock: Callable[[], float]

    async def execute(self, message: TurnMessage) -> Ending | None:
        """None: the message is no such command."""
        match message.payload.content:
            case Scheduled() as run:
                return self._remind(message, run)
            case Choice(id=chosen):
                return await self._tapped(message, chosen)
            case _:
                return None

    def _remind(self, message: TurnMessage, run: Scheduled) -> Ending:
        """Send a reminder as it is."""
        text = run.request or texts.schedules.UNREADABLE
        late = _late(text, run)
        if (now := self.clock()) - run.due_at > LATE_REPLY_SECONDS:
            text = texts.schedules.late(text, moment_in_words(run.due_at, run.time_zone, now=now))
        self.inputs.told(message, text)
        button = ReplyChoice(f"{STOP_SCHEDULE}{run.schedule_id}", texts.schedules.STOP)
        return Finished((Reply(text, choices=(button,), late=late),))

    async def _tapped(self, message: TurnMessage, chosen: str) -> Ending:
        """Idempotent. The button of a schedule that is gone, or of another person, has no effect."""
        if chosen.startswith(STOP_SCHEDULE):
            schedule_id = chosen.removeprefix(STOP_SCHEDULE)
            found = await self.store.delete(self.turn.person_id, schedule_id, now=self.clock())
            log.info("schedule stopped found=%s turn=%s person=%s", bool(found), self.turn.id, self.turn.person_id)
            said = found.asked.request if found else await self.inputs.quoted_by(message)
            return fixed_reply(texts.schedules.stopped(said))
        resumed = [each.asked.request for each in await self.store.resume(self.turn.person_id, now=self.clock())]
        return fixed_reply(texts.schedules.resumed(resumed) if resumed else texts.schedules.NOTHING_PAUSED)
