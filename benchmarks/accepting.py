"""The rate and latency of durably accepted webhooks. The 200 comes after the commit, never before."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.figures import Accepted, Figure, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems import System

ROUNDS = 3
AT_ONCE = 64
CLOSED_SECONDS = 3.0
RATE = 1000.0
"""Webhooks a second of the open loop: WhatsApp's cap for a number."""
OPEN_MESSAGES = 4000


async def at_fixed_concurrency(system: System) -> Accepted:
    """A closed loop: as fast as the system accepts them."""
    rounds = []
    for _ in range(ROUNDS):
        requests = (request for _, request in system.messages())
        rounds.append(await load.closed(system.client, requests, at_once=AT_ONCE, seconds=CLOSED_SECONDS))
        await system.quiet()
    return _accepted(rounds)


async def at_fixed_rate(system: System) -> Accepted:
    """An open loop: at the rate of arrival."""
    rounds = []
    for number in range(ROUNDS):
        times = load.arrivals(RATE, OPEN_MESSAGES, random.Random(number))
        _, requests = system.written_at(times)
        rounds.append(await load.opened(system.client, requests, times))
        await system.quiet()
    return _accepted(rounds)


def _accepted(rounds: Sequence[load.Outcome]) -> Accepted:
    return Accepted(
        per_second=Figure.of(outcome.per_second for outcome in rounds),
        p50=Figure.of(percentile(outcome.latencies, 50) * 1000 for outcome in rounds),
        p99=Figure.of(percentile(outcome.latencies, 99) * 1000 for outcome in rounds),
        refused=sum(outcome.refused for outcome in rounds),
    )
