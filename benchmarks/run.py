"""`make bench`: measures the pair and a bare handler under load, and writes the results. Ends by itself."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
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
from benchmarks.growing import GROWING, Growing, grown
from benchmarks.machine import this_machine
from benchmarks.per_message import counts_per_message
from benchmarks.plot import draw
from benchmarks.report import markdown
from benchmarks.systems import bare, pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Accepted, Comparison, Flood, Growth

RESULTS = Path(__file__).with_name("results")
HELD_BACK = 60.0
"""A debounce, in seconds, that delays every turn while acceptance is measured: the longest that is allowed."""
PEOPLE_WHO_WRITE = 1000
PEOPLE_ANSWERED = 500
# Messages per second, messages in a round, rounds.
LOADS = ((50.0, 300, 5), (100.0, 400, 3), (150.0, 600, 3))
SHORT_LOADS = ((50.0, 300, 2), (150.0, 450, 2))
DATABASES = 4 + 2 * len(GROWING)


def main() -> None:
    options = _options()
    gc.disable()  # a pause of the load generator would look like one of the pair
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        kind = databases.postgres if options.postgres else databases.sqlite
        with kind(folder) as new_database:
            if options.short:
                _tell(uvloop.run(_compared(folder, new_database(), SHORT_LOADS)))
                return
            machine = this_machine(
                "PostgreSQL from its wheel" if options.postgres else "SQLite (WAL, synchronous=FULL)"
            )
            results = uvloop.run(_measured(folder, iter([new_database() for _ in range(DATABASES)])))
    _write(markdown(results, machine), results, "postgres" if options.postgres else "results")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="on a real PostgreSQL instead of SQLite")
    parser.add_argument("--short", action="store_true", help="two minutes: print the ratios to the bare handler")
    return parser.parse_args()


async def _measured(folder: Path, urls: Iterator[str]) -> Results:
    alone = await _accepted(folder, next(urls), HELD_BACK)
    beside = await _accepted(folder, next(urls), 0.0)
    compared = await _compared(folder, next(urls), LOADS)
    flood = await _flooded(folder, next(urls))
    growths = [await _grown(folder, urls, growing) for growing in GROWING]
    _say("counting the work of one message")
    counts = await counts_per_message(folder, f"sqlite:///{folder}/counted.db")
    _say("the memory of resident kernels")
    return Results(*alone, *beside, compared, flood, tuple(growths), counts, await _memory())


async def _memory() -> tuple[str, ...]:
    """The lines that `benchmarks.memory` prints. A separate process shows the memory of kernels alone."""
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.memory", stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asked.communicate()
    return tuple(told.decode().splitlines())


async def _accepted(folder: Path, url: str, debounce: float) -> tuple[Accepted, Accepted]:
    _say(f"accepting, {'turns held back' if debounce else 'turns running'}")
    async with pair(folder, url, people=PEOPLE_WHO_WRITE, debounce=debounce) as system:
        await system.warm_up()
        return await at_fixed_concurrency(system), await at_fixed_rate(system)


async def _compared(folder: Path, url: str, loads: Sequence[tuple[float, int, int]]) -> tuple[Comparison, ...]:
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(pair(folder, url, people=PEOPLE_ANSWERED, debounce=0.0))
        theirs = await stack.enter_async_context(bare(folder, people=PEOPLE_ANSWERED))
        for system in (ours, theirs):
            await system.warm_up()
        comparisons = []
        for rate, messages, rounds in loads:
            _say(f"answering {rate:.0f} messages a second, the pair and the bare handler alternately")
            comparisons.append(await compare(ours, theirs, rate=rate, messages=messages, rounds=rounds))
        return tuple(comparisons)


async def _flooded(folder: Path, url: str) -> Flood:
    _say("fifty people, alternately without and with one who floods")
    async with pair(folder, url, people=FLOODER + 1, debounce=0.0, thinking=THINKING) as system:
        await system.warm_up()
        return await flooded(system)


async def _grown(folder: Path, urls: Iterator[str], growing: Growing) -> Growth:
    _say(f"{growing.much:,} {growing.what}, and {growing.little:,}")
    return await grown(folder, urls, growing)


def _tell(comparisons: Sequence[Comparison]) -> None:
    for each in comparisons:
        ratios = ", ".join(f"{ratio:.1f}" for ratio in each.cpu_ratio.rounds)
        _say(
            f"at {each.rate:.0f} messages a second {each.cpu_ratio.median:.1f} x the bare handler's CPU ({ratios}),"
            f" p50 {each.pair.p50.median:.0f} ms, p99 {each.pair.p99.median:.0f} ms, {each.pair.unanswered} unanswered"
        )


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
