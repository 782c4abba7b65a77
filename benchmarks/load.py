"""Loads: a fixed number of concurrent requests (closed loop), or requests at given times (open loop)."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from benchmarks.http_client import Client

OK = 200


@dataclass(slots=True)
class Outcome:
    """Seconds from when each request was due until its answer with 200, and the number of requests without one.

    `began` is in the loop's time.
    """

    began: float
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def note(self, status: int, latency: float) -> None:
        if status == OK:
            self.latencies.append(latency)
        else:
            self.refused += 1


async def closed(client: Client, requests: Iterator[bytes], *, at_once: int, seconds: float) -> Outcome:
    """Each of `at_once` clients sends its next request when its last one is answered."""
    loop = asyncio.get_running_loop()
    outcome = Outcome(began=loop.time())

    async def one_after_another() -> None:
        while (asked := loop.time()) - outcome.began < seconds:
            status = await client.ask(next(requests))
            outcome.note(status, loop.time() - asked)

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    outcome.seconds = loop.time() - outcome.began
    return outcome


def arrivals(rate: float, number: int, chance: random.Random) -> list[float]:
    """Random arrival times of this many requests, in seconds from the start: on average `rate` a second."""
    return list(itertools.accumulate(chance.expovariate(rate) for _ in range(number)))


async def opened(client: Client, requests: Sequence[bytes], times: Sequence[float]) -> Outcome:
    """Send each request at its time, whether or not earlier ones are answered.

    A latency counts from when its request was due, so that a late load generator hides nothing.
    """
    loop = asyncio.get_running_loop()
    outcome = Outcome(began=loop.time())

    async def ask(request: bytes, due: float) -> None:
        outcome.note(await client.ask(request), loop.time() - due)

    asking = []
    for request, time in zip(requests, times, strict=True):
        due = outcome.began + time
        await asyncio.sleep(max(0.0, due - loop.time()))
        asking.append(asyncio.create_task(ask(request, due)))
    await asyncio.gather(*asking)
    outcome.seconds = loop.time() - outcome.began
    return outcome
