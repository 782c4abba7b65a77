"""The state in an owner's memory for a person's next turn, so that a plain turn begins without a query of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.commands import Command
from kernel_service.ports.turns import LATE_MESSAGE_SECONDS

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn, TurnMessage


@dataclass(slots=True)
class Foresight:
    """It is created at the end of a turn if no message waits then. `arrived` are the messages accepted since.

    `replied` and `replied_fixed` count the replies of `day` (UTC). The opening of the turn verifies all that could have
    changed elsewhere.
    """

    time_zone: str
    day: int
    replied: int
    replied_fixed: int
    has_connections: bool
    has_facts: bool
    arrived: tuple[TurnMessage, ...] = ()

    def next_message(self, now: float, debounce: float) -> TurnMessage | None:
        """The only message of a plain turn that may begin. None: the store decides which turn is next."""
        if len(self.arrived) != 1:
            return None
        message = self.arrived[0]
        is_late = message.accepted_at - message.sent_at > LATE_MESSAGE_SECONDS
        return None if is_late or now < message.accepted_at + debounce else message

    def apply(self, turn: Turn) -> None:
        """Give the turn what an opening reads from the store."""
        turn.time_zone = self.time_zone
        turn.connections = None if self.has_connections else ()
        turn.has_facts = self.has_facts
        if self.day == _day(turn.started_at):
            turn.replied, turn.replied_fixed = self.replied, self.replied_fixed


def after(turn: Turn, earlier: Foresight | None, now: float) -> Foresight | None:
    """The foresight after the end of this turn, if no message waits. None: the next turn queries the store."""
    day = _day(now)
    if turn.changed_memory or turn.messages[0].command is not Command.NONE or _day(turn.started_at) != day:
        return None
    answered = {message.seq for message in turn.messages}
    return Foresight(
        turn.time_zone,
        day,
        turn.replied,
        turn.replied_fixed,
        has_connections=turn.connections is None or bool(turn.connections),
        has_facts=turn.has_facts,
        arrived=tuple(message for message in (earlier.arrived if earlier else ()) if message.seq not in answered),
    )


def _day(now: float) -> int:
    return int(now // DAY_SECONDS)
