"""The cost of a message in a chat of 2,000 turns against one of 50: CPU of the pair, and tokens sent to the model.

Both are of one run, one message after the other. The last turns cover a whole period between two compactions, so their
mean is that of the chat.

python -m benchmarks.long_chat
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import load, webhooks
from benchmarks.systems import pair

if TYPE_CHECKING:
    from benchmarks.systems import System

SHORT: Final = 50
LONG: Final = 2000
MOST: Final = 1.3
WARM_UP, WRITER = 0, 1
"""The people."""
_SECONDS: Final = 30.0
_UNLIMITED: Final = {"KERNEL_DAILY_REPLIES_PER_USER": "0", "KERNEL_MODEL_PER_MINUTE_PER_USER": "0"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a message: CPU in milliseconds, and tokens sent to the model."""

    cpu: float
    tokens: float


async def costs(folder: Path, database_url: str) -> tuple[Cost, Cost]:
    """The means of the first SHORT turns of a chat, and of the last ones of its LONG turns."""
    async with pair(folder, database_url, people=2, debounce=0.0, settings=_UNLIMITED) as system:
        await _talk(system, WARM_UP, SHORT)
        short = await _cost(system, SHORT)
        await _talk(system, WRITER, LONG - 2 * SHORT)
        return short, await _cost(system, SHORT)


async def _cost(system: System, turns: int) -> Cost:
    await system.quiet()
    cpu, tokens = system.cpu_seconds(), system.vendors.tokens
    await _talk(system, WRITER, turns)
    await system.quiet()
    return Cost(1000 * (system.cpu_seconds() - cpu) / turns, (system.vendors.tokens - tokens) / turns)


async def _talk(system: System, person: int, turns: int) -> None:
    for number in itertools.islice(system.markers, turns):
        marker = f"q-{number}"
        if await system.client.ask(webhooks.message(person, marker)) != load.OK:
            raise RuntimeError("the webhook was refused")
        async with asyncio.timeout(_SECONDS):
            while marker not in system.vendors.sent:  # noqa: ASYNC110 - the stub of the vendors stays lean
                await asyncio.sleep(0.002)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        short, long = await costs(Path(folder), f"sqlite:///{folder}/kernel.db")
    print(f"{SHORT} turns: {short.cpu:.2f} ms of CPU, {short.tokens:,.0f} tokens a message")
    print(f"{LONG:,} turns: {long.cpu:.2f} ms of CPU, {long.tokens:,.0f} tokens a message")
    print(f"ratios: CPU {long.cpu / short.cpu:.2f}, tokens {long.tokens / short.tokens:.2f}; at most {MOST}")


if __name__ == "__main__":
    asyncio.run(main())
