"""Counters of the turns of this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kernel_service.rate_limits.wait_histogram import Latencies, WaitHistogram


@dataclass(slots=True)
class TurnCounters:
    """`outcomes`: how attempts ended: completed, failed, stopped, joined, held, in_doubt, requeued, broke, split, dead.

    `recoveries`: how refusals of the model were answered (see refusals/recovery.py). `refused_tools`: by the tool's
    name. `busy_notices`: turns whose person was told that the service is busy. `seconds`: durations of attempts, by the
    outcome in the log. `answers`: from the acceptance of a person's message to its answer in the outbox.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    refused_tools: Counter[str] = field(default_factory=Counter)
    busy_notices: int = 0
    seconds: Latencies = field(default_factory=Latencies)
    answers: WaitHistogram = field(default_factory=WaitHistogram)
