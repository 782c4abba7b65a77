"""Since when each channel has been pulling without a break."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

BREAK_SECONDS = 30.0
"""Streams end and are made anew all the time; away is who does not come back within this."""


class Attendance:
    """In memory only: what a channel did before this process began says nothing of receipts that reach it."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, float]] = {}  # channel → since, last

    def note(self, channels: Collection[str], now: float) -> None:
        """These channels are pulling now; to be told every few seconds."""
        for channel in channels:
            since, last = self._seen.get(channel, (now, now))
            self._seen[channel] = (since if now - last <= BREAK_SECONDS else now, now)

    def for_at_least(self, seconds: float, now: float) -> list[str]:
        """The channels that are here, and have been for so long."""
        return [
            channel
            for channel, (since, last) in self._seen.items()
            if now - since >= seconds and now - last <= BREAK_SECONDS
        ]
