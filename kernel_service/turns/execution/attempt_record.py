"""Durations, counts and tokens of one attempt of a turn. They become one line of the log, which has no words."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kernel_service.ports.messages import Usage

if TYPE_CHECKING:
    from kernel_service.ports.turns import Turn

log = logging.getLogger("kernel_service.turns")

_LOST: Final = "lost"
"""The attempt ended without an outcome: the store was away, or another node has the person now."""
_FORMS: Final = {
    "%s": ("outcome", "problem", "turn", "person", "node", "message_numbers"),
    "%d": ("attempt", "model_calls", "tool_calls", "input_tokens", "cached_input_tokens", "output_tokens"),
    "%.3f": ("waited", "gathered", "queued", "seconds", "model_seconds", "tool_seconds"),
}
_LINE: Final = " ".join(("turn", *(f"{name}={form}" for form, names in _FORMS.items() for name in names)))
ANSWERED: Final = frozenset({"answered", "asks", "parked", "refused", "gave_up"})
"""Outcomes of which the person is told."""
_MOST_NAMED: Final = 20
"""Messages of a turn whose numbers are in the line."""


@dataclass(slots=True)
class AttemptRecord:
    """Of one attempt. `problem` says why, if something was wrong.

    `outcome`: answered, asks (for approval), parked (until an account is connected), refused (by a limit), stopped, or
    gave_up. An attempt that another one follows: held, joined, in_doubt, requeued, broke, split, lost.
    """

    began: float = field(default_factory=time.monotonic)
    outcome: str = _LOST
    problem: str = ""
    model_seconds: float = 0.0
    tool_seconds: float = 0.0
    tool_calls: int = 0
    usage: Usage = field(default_factory=Usage)

    def request_ended(self, seconds: float, usage: Usage) -> None:
        """A request to the model: to answer, to transcribe, to speak or to summarise."""
        self.model_seconds += seconds
        self.usage += usage

    def tool_ended(self, seconds: float) -> None:
        self.tool_calls += 1
        self.tool_seconds += seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def log(self, turn: Turn, node: str, waits: Waits) -> None:
        """Write the line. Durations are in seconds."""
        attempt, usage = turn.attempt_count + turn.crash_count + 1, self.usage
        log.info(
            _LINE,
            *(self.outcome, self.problem or "none", turn.id, turn.person_id, node, _numbers(turn)),
            *(attempt, usage.model_calls, self.tool_calls),
            *(usage.input_tokens, usage.cached_input_tokens, usage.output_tokens),
            *(waits.waited, waits.gathered, waits.queued, self.seconds, self.model_seconds, self.tool_seconds),
        )


class Waits(NamedTuple):
    """Seconds before an attempt: `waited` since the oldest message was accepted. `gathered` of them for further
    messages, and `queued` of them for one of KERNEL_MAX_TURNS places.
    """

    waited: float
    gathered: float
    queued: float

    @classmethod
    def of(cls, turn: Turn, now: float, *, queued: float, debounce: float) -> Waits:
        first, last = turn.messages[0].accepted_at, turn.messages[-1].accepted_at
        waited = max(0.0, now - first)
        queued = min(queued, waited)
        is_first = not turn.begun and not turn.attempt_count and not turn.holds
        gathered = min(waited - queued, max(0.0, last - first) + debounce) if is_first else 0.0
        return cls(waited, gathered, queued)


def _numbers(turn: Turn) -> str:
    """The numbers of the messages among the person's, as 7,8."""
    named = ",".join(str(each.seq) for each in turn.messages[:_MOST_NAMED])
    return named if len(turn.messages) <= _MOST_NAMED else f"{named},…"
