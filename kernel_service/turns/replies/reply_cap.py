"""How many replies a person gets in a day: each is billed by the channel, also those that need no model.

What no model says (wrong codes, stopped, budget spent, what cannot be opened) has a fifth of them, so that whoever
floods us with such messages, or has them sent, still gets answers to questions. The last reply of either kind says
when it goes on; then there is silence. What earlier replies asked for is still answered, out of a fifth more: a button,
and a code. Days are of UTC, as those of the tokens.
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


@dataclass(frozen=True, slots=True)
class ReplyCap:
    """Of one turn. `per_day`: replies of a person; 0: no limit."""

    per_day: int
    turn: Turn
    clock: Callable[[], float]

    def left(self, *, fixed: bool) -> float:
        """How many replies the person may still get today."""
        if not self.per_day:
            return math.inf
        share = max(1, self.per_day // FIXED_SHARE)
        left = self.per_day + (share if self._is_asked_for else 0) - self.turn.replied
        return min(left, share - self.turn.replied_fixed) if fixed else left

    @property
    def _is_asked_for(self) -> bool:
        return self.turn.messages[0].command in (Command.APPROVAL, Command.CODE)

    def kept(self, replies: Sequence[Reply], *, fixed: bool) -> list[Reply]:
        """Those that the person is told. What an answer consists of is told whole, once some of it may be."""
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
