"""The work of the pair for one answered message, by kind: tasks, timers, units, statements, commits and messages."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks import load
from benchmarks.counting import Counts
from benchmarks.systems import pair

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.systems import System

MESSAGES: Final = 12
PEOPLE: Final = 3
IDLE_SECONDS: Final = 3.0
PROCESSES: Final = ("whatsapp_gateway", "kernel_service")
_SETTLED_SECONDS: Final = 10.0
_REST_SECONDS: Final = 0.3
"""Longer than anything is gathered: the acknowledgement and the receipts of a message are settled after it."""

PerMessage: TypeAlias = dict[tuple[str, str], float]
"""By process and name, for example ("kernel_service", "commits"). The vendors' side is "vendors"."""


async def counts_per_message(folder: Path, database_url: str) -> PerMessage:
    """The mean of messages that come one by one from known people, without what the idle pair does meanwhile.

    Nothing shares a commit or a batch with another message, so these are the most that a message costs.
    """
    async with pair(folder, database_url, people=PEOPLE, debounce=0.0, under="counting") as system:
        counters = {name: Counts(folder / f"{name}.counting") for name in PROCESSES}
        await system.warm_up()
        await system.warm_up()
        loop = asyncio.get_running_loop()
        began, first = loop.time(), _read(counters, system)
        await asyncio.sleep(IDLE_SECONDS)
        idle_seconds, before = loop.time() - began, _read(counters, system)
        for _ in range(MESSAGES):
            await _one_message(system)
        seconds, after = loop.time() - began - idle_seconds, _read(counters, system)
    return {
        name: (after[name] - before[name] - (before[name] - first[name]) * seconds / idle_seconds) / MESSAGES
        for name in after
    }


def _read(counters: dict[str, Counts], system: System) -> Counter[tuple[str, str]]:
    read = Counter(
        {(process, name): value for process, counts in counters.items() for name, value in counts.read().items()}
    )
    return read | Counter({("vendors", "requests"): system.vendors.requests})


async def _one_message(system: System) -> None:
    [marker], [request] = system.written_at([0.0])
    if await system.client.ask(request) != load.OK:
        raise RuntimeError("the webhook was refused")
    async with asyncio.timeout(_SETTLED_SECONDS):
        while marker not in system.vendors.sent or system.vendors.statuses_under_way:  # noqa: ASYNC110 - the stub of the vendors stays lean
            await asyncio.sleep(0.005)
    await asyncio.sleep(_REST_SECONDS)
