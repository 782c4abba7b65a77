"""The limits of a turn, and the back-off of one that waits for a vendor."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, wait_exponential_jitter

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.spending import Budgets
from kernel_service.turns.compaction_rule import CompactionRule


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """`steps` are requests to the model. `seconds` count from the (re)start of the turn. Tokens: 0 means no limit.

    An approval prompt expires after `approval_seconds`, and after `unprompted_approval_seconds` if the service itself
    began the turn, since the person may not look at their phone then.
    A turn without progress is given up after `attempts` failed attempts, or after `crashes_alone` crashes of its
    process while no other turn ran in it. Any turn is given up after `model_calls` requests to the model.
    A turn waits for an unavailable model for `hold_seconds` since it began, because WhatsApp delivers no free answer
    after a day. It waits for tools for `tools_hold_seconds`. After `holds` waits it probes the model, to learn whether
    the vendor or the turn is at fault.
    A person gets `daily_replies_per_person` a UTC day; 0: no limit (see turns/replies/reply_cap.py).
    A second of a recording counts as `tokens_per_audio_second` if the vendor reports no tokens.
    If only the tools' descriptions are missing, the turn continues without tools after `toolless_after_seconds`.
    `compaction` says when the conversation before the turn is compacted.
    """

    steps: int = 24
    model_calls: int = 96
    seconds: float = 300.0
    output_tokens: int = 25_000
    output_chars: int = 60_000
    attempts: int = 5
    crashes_alone: int = 3
    approval_seconds: float = 1800.0
    unprompted_approval_seconds: float = 12 * 3600.0
    holds: int = 8
    hold_seconds: float = 86_400.0
    tools_hold_seconds: float = 180.0
    toolless_after_seconds: float = 120.0
    daily_tokens: int = 0
    daily_tokens_per_person: int = 0
    tokens_per_audio_second: int = 20
    daily_replies_per_person: int = 0
    compaction: CompactionRule = field(default_factory=CompactionRule)

    @property
    def budgets(self) -> Budgets:
        return Budgets(self.daily_tokens, self.daily_tokens_per_person)


def seconds_of_day_left(now: float) -> float:
    """Seconds until the budgets are reset, at midnight UTC."""
    return DAY_SECONDS - now % DAY_SECONDS


_BACK_OFF = wait_exponential_jitter(initial=1.0, max=60.0, jitter=1.0)
"""Exponential, with jitter so that held turns do not all resume at once."""


def hold_seconds(holds: int, retry_after: float | None) -> float:
    """How long a turn waits after `holds` earlier waits: never less than the vendor's `retry_after`."""
    state = RetryCallState(_NO_CALL, fn=None, args=(), kwargs={})
    state.attempt_number = holds + 1
    return max(retry_after or 0.0, _BACK_OFF(state))


# The library computes its back-off from a retried call. Here the retry is a row in the store.
_NO_CALL = Retrying()
