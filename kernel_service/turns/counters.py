"""Counters of the turns of this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class TurnCounters:
    """`outcomes`: how attempts ended: completed, failed, stopped, joined, held, in_doubt, requeued, broke, split, dead.

    `recoveries`: how refusals of the model were answered (see refusals/recovery.py). `refused_tools`: by the tool's
    name. `busy_notices`: turns whose person was told that the service is busy.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    refused_tools: Counter[str] = field(default_factory=Counter)
    busy_notices: int = 0
