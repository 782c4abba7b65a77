"""A token bucket that is one number: from when on the next request may go.

`limits`, which guards the connect pages, counts by the wall clock and admits a whole window's requests at once. The
fair queue spaces them by the loop's clock, and asks a bucket only how long the next one has to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `per_minute` in any minute (0: any number); what `burst_seconds` would have allowed may come at once."""

    per_minute: int
    burst_seconds: float

    @property
    def interval(self) -> float:
        """Seconds from one to the next, so that those that come at once are within the minute's number, too."""
        return (MINUTE + self.burst_seconds) / self.per_minute if self.per_minute else 0.0


@dataclass(slots=True)
class TokenBucket:
    """Times are monotonic seconds."""

    rate: Rate
    free_at: float = field(default=float("-inf"))

    def take(self, now: float, many: float = 1.0) -> None:
        self.free_at = max(self.free_at, now - self.rate.burst_seconds) + many * self.rate.interval

    def pause(self, until: float) -> None:
        """Nothing goes before, and nothing is saved up by then."""
        self.free_at = max(self.free_at, until)

    def wait(self, now: float) -> float:
        """Seconds until the next may go."""
        return max(0.0, self.free_at - now)

    def is_full(self, now: float) -> bool:
        """Nothing would be lost if it were forgotten."""
        return self.free_at <= now - self.rate.burst_seconds
