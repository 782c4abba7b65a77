"""Cost and latency of an answer: the pair and the bare handler, alternately, under the same load."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.figures import Answered, Comparison, Figure, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.systems import System


@dataclass(slots=True)
class _Rounds:
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    parts: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: int = 0

    def answered(self) -> Answered:
        return Answered(
            p50=Figure.of(self.p50),
            p99=Figure.of(self.p99),
            cpu=Figure.of(self.cpu),
            parts={name: Figure.of(values) for name, values in self.parts.items()},
            unanswered=self.unanswered,
        )


async def compare(pair: System, bare: System, *, rate: float, messages: int, rounds: int) -> Comparison:
    """Run `rounds` of each system alternately, with the same arrivals."""
    of_pair, of_bare = _Rounds(), _Rounds()
    for number in range(rounds):
        times = load.arrivals(rate, messages, random.Random(number))
        await _round(pair, of_pair, times)
        await _round(bare, of_bare, times)
    return Comparison(rate, of_pair.answered(), of_bare.answered())


async def _round(system: System, noted: _Rounds, times: Sequence[float]) -> None:
    markers, requests = system.written_at(times)
    before, parts_before = system.cpu_seconds(), system.cpu_parts()
    outcome = await load.opened(system.client, requests, times)
    await system.quiet()
    after, parts_after = system.cpu_seconds(), system.cpu_parts()
    sent = system.vendors.sent
    answers = [(sent[marker], time) for marker, time in zip(markers, times, strict=True) if marker in sent]
    delays = [(at - outcome.began - time) * 1000 for at, time in answers]
    noted.unanswered += len(times) - len(delays)
    noted.p50.append(percentile(delays, 50))
    noted.p99.append(percentile(delays, 99))
    noted.cpu.append((after - before) / len(times) * 1000)
    for part, seconds in parts_after.items():
        noted.parts[part].append((seconds - parts_before.get(part, 0.0)) / len(times) * 1000)
