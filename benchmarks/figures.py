"""Medians and percentiles, and the results that the report and the plot are made of."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: a value of each round. Its word is the median."""

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
    """What one system did with messages that came at one rate. Latencies, webhook to Graph call, and CPU in ms.

    `parts` is the CPU per message of each process; `unanswered` counts messages without a Graph call of their own.
    """

    p50: Figure
    p99: Figure
    cpu: Figure
    parts: tuple[Figure, ...]
    unanswered: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pair and the bare handler under the same load, in turns."""

    rate: float
    pair: Answered
    bare: Answered

    @property
    def cpu_ratio(self) -> Figure:
        """Of each pair of rounds."""
        return Figure.of(a / b for a, b in zip(self.pair.cpu.rounds, self.bare.cpu.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Flood:
    """The p95 of fifty people's answers in ms, without somebody who floods and with them."""

    quiet: Figure
    loud: Figure
    unanswered: int

    @property
    def ratio(self) -> Figure:
        """Of each pair of rounds."""
        return Figure.of(b / a for a, b in zip(self.quiet.rounds, self.loud.rounds, strict=True))


@dataclass(frozen=True, slots=True)
class Results:
    """Acceptance with the turns held back (`alone`) and while turns run (`beside`), at a fixed concurrency and at a
    fixed rate; then the comparisons, and what a flood does.
    """

    alone_closed: Accepted
    alone_open: Accepted
    beside_closed: Accepted
    beside_open: Accepted
    comparisons: tuple[Comparison, ...]
    flood: Flood
