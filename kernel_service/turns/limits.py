"""The limits of a turn, and the back-off of one that waits for a vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Limits:
    """Steps are questions to the model; seconds count from the turn's (re)start; tokens are 0 for no limit."""

    steps: int = 24
    seconds: float = 300.0
    output_tokens: int = 4096
    output_chars: int = 60_000
    attempts: int = 5
    daily_tokens: int = 0
    daily_tokens_per_person: int = 0


FIRST_HOLD_SECONDS = 1.0
LONGEST_HOLD_SECONDS = 60.0


def hold_seconds(holds: int, retry_after: float | None, spread: random.Random) -> float:
    """How long a turn waits that was held `holds` times before.

    Doubled each time, spread so that not all come back at once, and never shorter than the vendor asked for.
    """
    back_off = min(LONGEST_HOLD_SECONDS, FIRST_HOLD_SECONDS * 2.0 ** min(holds, 10))
    return max(retry_after or 0.0, back_off * spread.uniform(0.5, 1.0))
