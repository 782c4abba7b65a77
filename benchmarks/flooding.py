"""The cost of one flooding person for all others: the same messages of fifty people, without and with the flood."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from benchmarks import load, webhooks
from benchmarks.figures import Figure, Flood, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems import System

PEOPLE = 50
FLOODER = PEOPLE
RATE = 10.0
"""Messages per second of all fifty together."""
MESSAGES = 125
THINKING = 0.3
"""The model's delay in seconds: shorter than that of any real model, so that the cost of the flood stays visible."""
FLOOD = 500
FLOOD_RATE = 40.0
"""With the others' messages and all answers just under WhatsApp's limit for a number: 80 a second, in and out."""
ROUNDS = 5


async def flooded(system: System) -> Flood:
    """Run rounds without and with the flood alternately, with the same arrivals."""
    quiet: list[float] = []
    loud: list[float] = []
    unanswered = 0
    for number in range(ROUNDS):
        times = load.arrivals(RATE, MESSAGES, random.Random(number))
        for delays, flood in ((quiet, []), (loud, [n / FLOOD_RATE for n in range(FLOOD)])):
            measured = await _round(system, times, flood)
            unanswered += MESSAGES - len(measured)
            delays.append(percentile(measured, 95))
    return Flood(Figure.of(quiet), Figure.of(loud), unanswered)


async def _round(system: System, times: Sequence[float], flood: Sequence[float]) -> list[float]:
    """The milliseconds from each message of the fifty to the Graph call that answers it."""
    others = [(time, n % PEOPLE, f"q-{next(system.markers)}") for n, time in enumerate(times)]
    floods = [(time, FLOODER, f"q-{next(system.markers)}") for time in flood]
    came = sorted(others + floods)
    requests = [webhooks.message(person, marker, time) for time, person, marker in came]
    outcome = await load.opened(system.client, requests, [time for time, _, _ in came])
    await system.quiet()
    sent = system.vendors.sent
    return [(sent[marker] - outcome.began - time) * 1000 for time, _, marker in others if marker in sent]
