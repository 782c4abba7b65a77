"""The limits of a turn, and the back-off of one that waits for a vendor."""

from __future__ import annotations

from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, wait_exponential_jitter

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.spending import Budgets


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Steps are questions to the model; seconds count from the turn's (re)start; tokens are 0 for no limit.

    A question whether something may be done lapses after `approval_seconds`.
    Without progress a turn is given up after so many failed `attempts`, or `crashes_alone` of its process while no
    other turn ran in it; and in any case once it has asked the model `model_calls` times.
    A turn waits for a model that is away `hold_seconds` since it began (WhatsApp delivers no free answer later than a
    day), for tools `tools_hold_seconds`; after `holds` it finds out whether it is the vendor who is ill, or the turn.
    A person gets `daily_replies_per_person` a UTC day; 0: no limit (see turns/replies/reply_cap.py).
    A second of a recording counts as `tokens_per_audio_second` where the vendor tells no tokens.
    Where only the tools' descriptions are missing it goes on without tools after `toolless_after_seconds`.
    """

    steps: int = 24
    model_calls: int = 96
    seconds: float = 300.0
    output_tokens: int = 25_000
    output_chars: int = 60_000
    attempts: int = 5
    crashes_alone: int = 3
    approval_seconds: float = 1800.0
    holds: int = 8
    hold_seconds: float = 86_400.0
    tools_hold_seconds: float = 180.0
    toolless_after_seconds: float = 120.0
    daily_tokens: int = 0
    daily_tokens_per_person: int = 0
    tokens_per_audio_second: int = 20
    daily_replies_per_person: int = 0

    @property
    def budgets(self) -> Budgets:
        return Budgets(self.daily_tokens, self.daily_tokens_per_person)


def seconds_of_day_left(now: float) -> float:
    """Until budgets begin anew, at midnight UTC."""
    return DAY_SECONDS - now % DAY_SECONDS


_BACK_OFF = wait_exponential_jitter(initial=1.0, max=60.0, jitter=1.0)
"""Doubled each time, spread so that not all come back at once."""


def hold_seconds(holds: int, retry_after: float | None) -> float:
    """How long a turn waits that was held `holds` times before: never shorter than the vendor asked for."""
    state = RetryCallState(_NO_CALL, fn=None, args=(), kwargs={})
    state.attempt_number = holds + 1
    return max(retry_after or 0.0, _BACK_OFF(state))


# The library's back-off looks at a retried call; ours is a row in the store.
_NO_CALL = Retrying()
