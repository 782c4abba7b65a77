"""`make bench`: measures the pair and a bare handler under load, and writes the results. Ends by itself."""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from benchmarks import databases
from benchmarks.accepting import at_fixed_concurrency, at_fixed_rate
from benchmarks.answering import compare
from benchmarks.figures import Results
from benchmarks.flooding import FLOODER, THINKING, flooded
from benchmarks.machine import this_machine
from benchmarks.plot import draw
from benchmarks.report import markdown
from benchmarks.systems import bare, pair

if TYPE_CHECKING:
    from benchmarks.figures import Accepted, Comparison, Flood

RESULTS = Path(__file__).with_name("results")
HELD_BACK = 3600.0
"""A debounce, in seconds, that delays every turn while acceptance is measured."""
PEOPLE_WHO_WRITE = 1000
PEOPLE_ANSWERED = 500
# Messages per second, messages in a round, rounds. The first rate is that of the target.
LOADS = ((50.0, 300, 5), (150.0, 600, 3))


def main() -> None:
    options = _options()
    machine = this_machine("PostgreSQL from its wheel" if options.postgres else "SQLite (WAL, synchronous=FULL)")
    gc.disable()  # a pause of the load generator would look like one of the pair
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        kind = databases.postgres if options.postgres else databases.sqlite
        with kind(folder) as new_database:
            urls = [new_database() for _ in range(4)]
            results = uvloop.run(_measured(folder, urls))
    _write(markdown(results, machine), results, "postgres" if options.postgres else "results")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a real PostgreSQL instead of SQLite")
    return parser.parse_args()


async def _measured(folder: Path, urls: list[str]) -> Results:
    alone = await _accepted(folder, urls[0], HELD_BACK)
    beside = await _accepted(folder, urls[1], 0.0)
    compared = await _compared(folder, urls[2])
    return Results(*alone, *beside, compared, await _flooded(folder, urls[3]))


async def _accepted(folder: Path, url: str, debounce: float) -> tuple[Accepted, Accepted]:
    _say(f"accepting, {'turns held back' if debounce else 'turns running'}")
    async with pair(folder, url, people=PEOPLE_WHO_WRITE, debounce=debounce) as system:
        await system.warm_up()
        return await at_fixed_concurrency(system), await at_fixed_rate(system)


async def _compared(folder: Path, url: str) -> tuple[Comparison, ...]:
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(pair(folder, url, people=PEOPLE_ANSWERED, debounce=0.0))
        theirs = await stack.enter_async_context(bare(folder, people=PEOPLE_ANSWERED))
        for system in (ours, theirs):
            await system.warm_up()
        comparisons = []
        for rate, messages, rounds in LOADS:
            _say(f"answering {rate:.0f} messages a second, the pair and the bare handler alternately")
            comparisons.append(await compare(ours, theirs, rate=rate, messages=messages, rounds=rounds))
        return tuple(comparisons)


async def _flooded(folder: Path, url: str) -> Flood:
    _say("fifty people, alternately without and with one who floods")
    async with pair(folder, url, people=FLOODER + 1, debounce=0.0, thinking=THINKING) as system:
        await system.warm_up()
        return await flooded(system)


def _write(report: str, results: Results, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(report.replace("results.svg", f"{name}.svg"))
    draw(results, RESULTS / f"{name}.svg")
    print(report)
    _say(f"written to {RESULTS}/{name}.md and {name}.svg")


_BEGAN = time.monotonic()


def _say(what: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:4.0f} s] {what}", flush=True)


if __name__ == "__main__":
    main()
