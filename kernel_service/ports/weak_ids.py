"""How long a weak id without messages keeps resolving to its person.

A carrier reassigns an abandoned phone number to another person after a pause: at least 45 days by the FCC's rules in
the United States (47 CFR 64.1200(l)), commonly 90 days elsewhere. WhatsApp itself takes 45 days without use as the sign
of a recycled number. So a number that was silent for a shorter time still belongs to its person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DAY_SECONDS: Final = 86_400
DEFAULT_DAYS: Final = 30
_NOTED_PARTS: Final = 30


@dataclass(frozen=True, slots=True)
class WeakIdExpiry:
    """A weak id without a message for `days` days resolves to no person."""

    days: float = DEFAULT_DAYS

    def has_expired(self, heard_at: float, now: float) -> bool:
        """Whether the id has been silent for too long; times are epoch seconds."""
        return now - heard_at > self.days * DAY_SECONDS

    def should_note(self, heard_at: float, now: float) -> bool:
        """Whether to write the time of a message: once a day by default, so that few messages cost a write."""
        return now - heard_at > self.days * DAY_SECONDS / _NOTED_PARTS
