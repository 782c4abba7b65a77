"""A histogram of people's waits, for operators."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, float("inf"))
"""Seconds; the upper ends of the histogram's bins."""


class WaitHistogram:
    """Counts the waits within each bound, and sums their seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._counts = [0] * len(BOUNDS)

    def note(self, seconds: float) -> None:
        self.seconds += seconds
        self._counts[bisect_left(BOUNDS, seconds)] += 1

    def cumulative(self) -> list[tuple[str, float]]:
        """In the form of Prometheus: each bound, and the number of waits within it."""
        total, bins = 0, []
        for bound, number in zip(BOUNDS, self._counts, strict=True):
            total += number
            bins.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        return bins
