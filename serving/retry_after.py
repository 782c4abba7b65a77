"""When a vendor asks to be called again: `Retry-After`, as seconds or as a date (RFC 9110, 10.2.3)."""

from __future__ import annotations

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_WAIT: Final = 300.0
"""The longest delay, in seconds, that a vendor can ask for. After it one request shows whether the problem persists."""
_UNITS: Final = (("retry-after-ms", 0.001), ("retry-after", 1.0))
"""OpenAI and servers like it send the first one as well, which is more exact."""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from 0 to LONGEST_WAIT; None: absent or unreadable. `headers` finds names in lower case.

    A date counts from the answer's own `Date`, so that neither clock has to be right.
    """
    for name, unit in _UNITS:
        text = headers.get(name)
        seconds = _seconds(text, headers) if text else math.nan
        if not math.isnan(seconds):
            return min(max(0.0, seconds * unit), LONGEST_WAIT)
    return None


def _seconds(text: str, headers: Mapping[str, str]) -> float:
    """NaN: it is neither a number nor a date."""
    try:
        return float(text)
    except ValueError:
        now = _epoch(headers.get("date") or "")
        return _epoch(text) - (time.time() if math.isnan(now) else now)


def _epoch(text: str) -> float:
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):  # the last three are its errors for odd dates
        return math.nan
