"""The cost of a message against the stored data: many people, many messages, long histories."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import filling
from benchmarks.answering import compare
from benchmarks.figures import Growth
from benchmarks.systems import pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from benchmarks.systems import System

PEOPLE: Final = 50
"""Those who write. All others only have rows."""
RATE: Final = 50.0
MESSAGES: Final = 300
ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Growing:
    """`add` puts a number of them into a database in which the people who write have written once."""

    what: str
    little: int
    much: int
    most: float
    add: Callable[[str, int], Awaitable[None]]


GROWING: Final = (
    Growing("people", 100, 100_000, 1.15, filling.add_people),
    Growing("stored messages", 10_000, 1_000_000, 1.15, filling.add_messages),
    Growing("turns of history", 10, 200, 1.2, filling.add_turns),
)


async def grown(folder: Path, urls: Iterator[str], growing: Growing) -> Growth:
    """Two pairs, one with little stored and one with much, alternately under the same load."""
    async with AsyncExitStack() as stack:
        little, much = [
            await stack.enter_async_context(_filled(folder, next(urls), growing, many))
            for many in (growing.little, growing.much)
        ]
        measured = await compare(much, little, rate=RATE, messages=MESSAGES, rounds=ROUNDS)
    return Growth(growing.what, growing.little, growing.much, measured.cpu_ratio, growing.most)


@asynccontextmanager
async def _filled(folder: Path, url: str, growing: Growing, many: int) -> AsyncIterator[System]:
    async with pair(folder, url, people=PEOPLE, debounce=0.0) as system:
        await system.warm_up()
    await growing.add(url, many)
    async with pair(folder, url, people=PEOPLE, debounce=0.0) as system:
        await system.warm_up()
        yield system
