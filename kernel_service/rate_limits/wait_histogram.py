"""Histograms of waits and durations, for operators."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOUNDS: Final = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
    float("inf"),
)
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


class Latencies(defaultdict[tuple[str, ...], WaitHistogram]):
    """A histogram of durations for each combination of labels, such as an rpc and a status."""

    def __init__(self) -> None:
        super().__init__(WaitHistogram)

    @contextmanager
    def timed(self, label: str, done: str, outcome_of: Callable[[Exception], str]) -> Iterator[None]:
        """Note the block's duration, with its outcome as the second label. `done`: of a block without an error."""
        began, outcome = time.monotonic(), done
        try:
            yield
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:
            outcome = outcome_of(error)
            raise
        finally:
            self[label, outcome].note(time.monotonic() - began)
