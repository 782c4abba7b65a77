"""Medians and percentiles, and the results for the report and the plot."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this percentage of the values do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity, with a value for each round. The median represents it."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        return cls(tuple(values))

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Webhooks accepted durably. Rates are per second, latencies in ms."""

    per_second: Figure
    p50: Figure
    p99: Figure
    refused: int


@dataclass(frozen=True, slots=True)
class Answered:
    """One system's results at one rate of messages. CPU and latencies, from webhook to Graph call, are in ms.

    `parts` is the CPU per message of each kind of thread; `unanswered` counts messages without a separate Graph call.
    """

    p50: Figure
    p99: Figure
    cpu: Figure
    parts: Mapping[str, Figure]
    unanswered: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pair and the bare handler under the same load, alternately."""

    rate: float
    pair: Answered
    bare: Answered

    @property
    def cpu_ratio(self) -> Figure:
        """Of each pair of rounds."""
        return Figure.of(a / b for a, b in zip(self.pair.cpu.rounds, self.bare.cpu.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Flood:
    """The p95 of fifty people's answers in ms, without and with a flooding person."""

    quiet: Figure
    loud: Figure
    unanswered: int

    @property
    def ratio(self) -> Figure:
        """Of each pair of rounds."""
        return Figure.of(b / a for a, b in zip(self.quiet.rounds, self.loud.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Growth:
    """The cost of a message where much is stored beside where little is: CPU ratios of consecutive rounds.

    `what` names what grows, from `little` to `much`. `most` is the target.
    """

    what: str
    little: int
    much: int
    ratio: Figure
    most: float


@dataclass(frozen=True, slots=True)
class Results:
    """All results: acceptance, comparisons, the effect of a flood, what grows with the stored data, the
    work of one message, and what `benchmarks.memory` prints.

    Acceptance is measured with turns held back (`alone`) and while turns run (`beside`), at a fixed concurrency and at
    a fixed rate.
    """

    alone_closed: Accepted
    alone_open: Accepted
    beside_closed: Accepted
    beside_open: Accepted
    comparisons: tuple[Comparison, ...]
    flood: Flood
    growths: tuple[Growth, ...]
    counts: Mapping[tuple[str, str], float]
    memory: tuple[str, ...]
