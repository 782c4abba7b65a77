"""The daily cap on replies to a person: the channel bills each reply, including those without a model request.

Fixed replies (wrong code, stopped, budget spent, unreadable file) get a fifth of the cap, so that a flood of such
messages does not use up the answers to questions. The last reply of either kind says when replies resume; after it
there are none. A button or a code that an earlier reply asked for is still answered, and a reminder is still sent, from
an extra fifth. Days are UTC, like those of the token budgets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kernel_service import texts
from kernel_service.ports.commands import Command
from kernel_service.turns.limits import seconds_of_day_left

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.messages import Reply
    from kernel_service.ports.turns import Turn

FIXED_SHARE: Final = 5
_ASKED_FOR: Final = (Command.APPROVAL, Command.CODE, Command.SCHEDULE_BUTTON, Command.REMINDER)


@dataclass(slots=True)
class ReplyCap:
    """Of one turn. `per_day`: replies to a person; 0: no limit."""

    per_day: int
    turn: Turn
    clock: Callable[[], float]

    def left(self, *, fixed: bool) -> float:
        """The number of replies left for the person today."""
        if not self.per_day:
            return math.inf
        share = max(1, self.per_day // FIXED_SHARE)
        left = self.per_day + (share if self._is_asked_for else 0) - self.turn.replied
        return min(left, share - self.turn.replied_fixed) if fixed else left

    @property
    def _is_asked_for(self) -> bool:
        return self.turn.messages[0].command in _ASKED_FOR

    def kept(self, replies: Sequence[Reply], *, fixed: bool) -> list[Reply]:
        """The replies to send. The parts of an answer are all sent if at least one reply is left."""
        left = self.left(fixed=fixed)
        if len(replies) < left:
            return list(replies)
        if left <= 0:
            return []
        kept = list(replies[: int(left)] if fixed else replies)
        return [*kept[:-1], self._last(kept[-1], fixed=fixed)]

    def _last(self, reply: Reply, *, fixed: bool) -> Reply:
        told = self._told(fixed=fixed, asks=bool(reply.choices or reply.link))(seconds_of_day_left(self.clock()))
        return replace(reply, text=f"{reply.text}\n\n{told}")

    def _told(self, *, fixed: bool, asks: bool) -> Callable[[float], str]:
        if fixed and self.left(fixed=False) > self.left(fixed=True):
            return texts.limits.last_fixed_reply
        return texts.limits.last_question if asks and not self._is_asked_for else texts.limits.last_reply
