"""The send rate of each of our numbers: a token bucket, because WhatsApp rejects messages beyond its limit.

Throughput: developers.facebook.com/documentation/business-messaging/whatsapp/throughput
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

BURST_SECONDS: Final = 1.0
"""How much unused rate a number may use later."""
PAUSE_SECONDS: Final = 1.0
"""How long a number pauses after WhatsApp reported that it was too fast, and named no time."""


@dataclass(slots=True)
class _Bucket:
    """free_at: when the next message could go if no rate had been saved; paused_until: as WhatsApp asked.

    Both on the loop's clock.
    """

    free_at: float
    paused_until: float = 0.0


class Pacing:
    """per_second messages for each number, including incoming ones, as WhatsApp counts them; 0: no limit.

    Waiting people are served in turn. Each person has one message in progress at a time. So a long answer takes at most
    every second slot while another person waits.
    """

    def __init__(
        self,
        per_second: float,
        *,
        now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cost = 1 / per_second if per_second else 0.0
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._sleep = sleep
        self._buckets: dict[str, _Bucket] = {}

    async def wait_turn(self, number: str, timeout: float) -> float | None:
        """Wait for the number's next slot. Returns the remaining seconds of the timeout; None: it is too short.

        A pause of more than PAUSE_SECONDS is not waited for: the places of other numbers would be occupied.
        """
        if not self._cost and number not in self._buckets:
            return timeout
        now = self._now()
        bucket = self._bucket(number, now)
        wait = max(bucket.free_at - now, 0.0)
        if wait >= timeout or bucket.paused_until - now > PAUSE_SECONDS:
            return None
        # Reserve the slot before the wait, so that the next caller gets a later one.
        bucket.free_at += self._cost
        if not wait:
            return timeout
        await self._sleep(wait)
        # If the process was suspended meanwhile, the wait took longer than planned.
        left = timeout - max(wait, self._now() - now)
        return left if left > 0 else None

    def received(self, number: str) -> None:
        """An incoming message counts, but cannot wait. A flood of them delays answers by PAUSE_SECONDS at most."""
        if self._cost:
            now = self._now()
            bucket = self._bucket(number, now)
            bucket.free_at = max(bucket.free_at, min(bucket.free_at + self._cost, now + PAUSE_SECONDS))

    def pause(self, number: str, seconds: float = 0.0) -> None:
        """WhatsApp reported that the number was too fast, and asked for a pause of `seconds`; 0: it named no time."""
        if self._cost or seconds:
            until = self._now() + max(seconds, PAUSE_SECONDS)
            bucket = self._bucket(number, self._now())
            bucket.free_at, bucket.paused_until = max(bucket.free_at, until), max(bucket.paused_until, until)

    def seconds_paused(self, number: str) -> float:
        """Seconds of the pause that are left; 0: the number does not pause."""
        bucket = self._buckets.get(number)
        return max(bucket.paused_until - self._now(), 0.0) if bucket else 0.0

    def _bucket(self, number: str, now: float) -> _Bucket:
        """The number's bucket, never fuller than a burst."""
        earliest = now - BURST_SECONDS
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = _Bucket(earliest)
        bucket.free_at = max(bucket.free_at, earliest)
        return bucket
