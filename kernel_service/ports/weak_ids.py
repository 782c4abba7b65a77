"""How long a weak id keeps finding its person while nothing comes from it.

A phone number that was given up passes to somebody else. Carriers let it rest first: 45 days is the least that the FCC
allows in the United States (47 CFR 64.1200(l)), 90 is common elsewhere, and WhatsApp itself takes 45 days without use
as the sign of a recycled number. So a number that was silent for a shorter time than that is still its person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DAY_SECONDS: Final = 86_400
DEFAULT_DAYS: Final = 30
_NOTED_PARTS: Final = 30


@dataclass(frozen=True, slots=True)
class WeakIdExpiry:
    """`days`: after so many without a message a weak id finds nobody."""

    days: float = DEFAULT_DAYS

    def has_expired(self, heard_at: float, now: float) -> bool:
        """Whether the id has been silent for too long; times are epoch seconds."""
        return now - heard_at > self.days * DAY_SECONDS

    def should_note(self, heard_at: float, now: float) -> bool:
        """Whether a message is to be noted: once a day by default, so that few messages cost a write."""
        return now - heard_at > self.days * DAY_SECONDS / _NOTED_PARTS
