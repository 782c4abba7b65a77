"""A token bucket as one number: the earliest time of the next request.

`limits`, which guards the connect pages, counts by the wall clock and admits all requests of a window at once. The
fair queue spaces requests by the loop's clock, and asks a bucket only for the wait of the next one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `per_minute` in any minute (0: no limit). A burst may have the requests of `burst_seconds`."""

    per_minute: float
    burst_seconds: float
    interval: float = field(init=False)
    """Seconds between requests, such that a burst also stays within the limit of the minute."""

    def __post_init__(self) -> None:
        interval = (MINUTE + self.burst_seconds) / self.per_minute if self.per_minute else 0.0
        object.__setattr__(self, "interval", interval)

    def part(self, of: int) -> Rate:
        """One of that number of equal parts of this rate."""
        return replace(self, per_minute=self.per_minute / of)


@dataclass(slots=True)
class TokenBucket:
    """Times are monotonic seconds."""

    rate: Rate
    free_at: float = field(default=float("-inf"))

    def take(self, now: float, many: float = 1.0) -> None:
        self.free_at = max(self.free_at, now - self.rate.burst_seconds) + many * self.rate.interval

    def pause(self, until: float) -> None:
        """Admit no request before `until`, and accumulate no burst by then."""
        self.free_at = max(self.free_at, until)

    def wait(self, now: float) -> float:
        """Seconds until the next request."""
        return max(0.0, self.free_at - now)

    def is_full(self, now: float) -> bool:
        """Whether the bucket is full, so that dropping it loses nothing."""
        return self.free_at <= now - self.rate.burst_seconds
