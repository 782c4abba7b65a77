"""The report of the results, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Accepted, Answered, Figure, Results
    from benchmarks.machine import Machine


CPU_TARGETS: Final = {50.0: 2.5, 150.0: 2.2}
"""How many times the bare handler's CPU a message may cost, by messages per second."""


def markdown(results: Results, machine: Machine) -> str:
    parts = (
        _head(machine),
        _accepting(results),
        _answering(results),
        _flood(results),
        _growing(results),
        _counts(results),
        _memory(results),
        _targets(results),
    )
    return "\n".join(line for part in parts for line in (*part, ""))


def _head(machine: Machine) -> Iterator[str]:
    yield "# Results of `make bench`"
    yield ""
    yield f"Commit {machine.commit}, {machine.date}."
    yield f"{machine.cpu}, {machine.cores} cores, {machine.system}, Python {machine.python}."
    yield f"Load average at the start: {machine.load:.1f}. {machine.database}. {machine.versions}."
    yield ""
    yield "Each value is the median of its rounds; in brackets the lowest and the highest round. ![plot](results.svg)"


def _accepting(results: Results) -> Iterator[str]:
    yield "## Webhooks accepted durably"
    yield ""
    yield "| load | turns meanwhile | accepted/s | p50 ms | p99 ms | not accepted |"
    yield "|---|---|---|---|---|---|"
    yield _accepted("64 at once", "held back", results.alone_closed)
    yield _accepted("1,000/s", "held back", results.alone_open)
    yield _accepted("64 at once", "running", results.beside_closed)
    yield _accepted("1,000/s", "running", results.beside_open)


def _accepted(load: str, turns: str, measured: Accepted) -> str:
    figures = f"{_figure(measured.per_second, 0)} | {_figure(measured.p50, 0)} | {_figure(measured.p99, 0)}"
    return f"| {load} | {turns} | {figures} | {measured.refused} |"


def _answering(results: Results) -> Iterator[str]:
    yield "## From the webhook to the Graph call, and its cost"
    yield ""
    yield "| messages/s | | p50 ms | p99 ms | CPU ms/message | of which | unanswered |"
    yield "|---|---|---|---|---|---|---|"
    for comparison in results.comparisons:
        yield _answered(comparison.rate, "pair", comparison.pair)
        yield _answered(comparison.rate, "bare handler", comparison.bare)
    yield ""
    for comparison in results.comparisons:
        yield f"At {comparison.rate:.0f}/s the pair takes {_figure(comparison.cpu_ratio, 1)} × the bare handler's CPU."


def _answered(rate: float, name: str, measured: Answered) -> str:
    of_which = ", ".join(f"{part} {figure.median:.1f}" for part, figure in measured.parts.items())
    figures = f"{_figure(measured.p50, 1)} | {_figure(measured.p99, 0)} | {_figure(measured.cpu, 1)}"
    return f"| {rate:.0f} | {name} | {figures} | {of_which} | {measured.unanswered} |"


def _flood(results: Results) -> Iterator[str]:
    flood = results.flood
    yield "## One person who floods"
    yield ""
    yield "| fifty people, 10 messages/s | p95 ms |"
    yield "|---|---|"
    yield f"| alone | {_figure(flood.quiet, 0)} |"
    yield f"| with 500 messages of one more person, 40/s | {_figure(flood.loud, 0)} |"
    yield ""
    yield f"The flood raises their p95 to {_figure(flood.ratio, 2)} ×; {flood.unanswered} of their messages unanswered."


def _growing(results: Results) -> Iterator[str]:
    yield "## Against what is stored"
    yield ""
    yield "| stored | CPU per message |"
    yield "|---|---|"
    for growth in results.growths:
        yield f"| {growth.much:,} {growth.what} over {growth.little:,} | {_figure(growth.ratio, 2)} × |"


def _counts(results: Results) -> Iterator[str]:
    yield "## The work of one message that comes alone, on SQLite"
    yield ""
    yield "| process | kind | number |"
    yield "|---|---|---|"
    for (process, name), count in sorted(results.counts.items()):
        if count:
            yield f"| {process} | {name.replace('_', ' ')} | {count:.1f} |"


def _memory(results: Results) -> Iterator[str]:
    yield "## Resident kernels"
    yield ""
    yield from (f"- {line}" for line in results.memory)


def _targets(results: Results) -> Iterator[str]:
    yield "## Against the targets"
    yield ""
    yield "| target | measured | |"
    yield "|---|---|---|"
    closed, steady = results.alone_closed, results.alone_open
    measured = f"{closed.per_second.median:,.0f}/s; at 1,000/s p99 {steady.p99.median:,.0f} ms"
    met = closed.per_second.median >= 1000 and steady.p99.median <= 250 and not steady.refused
    yield _target("webhooks ≥ 1,000/s, p99 ≤ 250 ms, turns held back", measured, met=met)
    first = results.comparisons[0]
    p50, p99 = first.pair.p50.median, first.pair.p99.median
    yield _target("added latency ≤ 12 / 40 ms at 50/s", f"{p50:.1f} / {p99:.0f} ms", met=p50 <= 12 and p99 <= 40)
    for comparison in results.comparisons:
        if most := CPU_TARGETS.get(comparison.rate):
            ratio = comparison.cpu_ratio.median
            yield _target(f"CPU ≤ {most} × at {comparison.rate:.0f}/s", f"{ratio:.1f} ×", met=ratio <= most)
    for growth in results.growths:
        ratio = growth.ratio.median
        told = f"{growth.much:,} {growth.what} over {growth.little:,}: CPU ≤ {growth.most} ×"
        yield _target(told, f"{ratio:.2f} ×", met=ratio <= growth.most)
    ratio = results.flood.ratio.median
    met = ratio <= 1.2 and not results.flood.unanswered
    yield _target("one who floods raises the p95 of fifty others by ≤ 20 %", f"{ratio - 1:+.0%}", met=met)


def _target(target: str, measured: str, *, met: bool) -> str:
    return f"| {target} | {measured} | {'reached' if met else 'not reached'} |"


def _figure(figure: Figure, digits: int) -> str:
    low, high = min(figure.rounds), max(figure.rounds)
    return f"{figure.median:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
