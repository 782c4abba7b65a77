"""Key rotation: every value is sealed with the current master key and for its place, while the service runs.

Each transaction is independent. After an interruption the next rotation finds the rest. Two rotations at once do no
harm.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from kernel_service.ports.keys import Rotated
from kernel_service.storage.keys import binding, wraps
from kernel_service.storage.keys.binding import Position

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from kernel_service.storage.engine.engine import Engine, T, Tx

STRICT_AFTER_SECONDS: Final = 60.0
"""A reader may have an old form of a value that it has not opened yet. For this time this process opens both forms."""


async def rotate(engine: Engine) -> AsyncGenerator[Rotated]:
    keys, unreadable = await engine.write_apart(wraps.rewrap_secrets)
    done = Rotated(keys=keys, unreadable=unreadable)
    yield done
    after = ""
    while True:
        after, keys, unreadable = await _step(engine, partial(wraps.rewrap_people, after=after))
        done += Rotated(keys=keys, unreadable=unreadable)
        if not after:
            break
        yield done
    position: Position | None = Position()
    try:
        while position is not None:
            position, more = await _step(engine, partial(binding.bind, position=position))
            done += more
            yield done
    finally:
        forget_opened(engine)


def forget_opened(engine: Engine) -> None:
    """Read the keys again after a while, since some may open only the new form of a value now."""
    asyncio.get_running_loop().call_later(STRICT_AFTER_SECONDS, engine.keyring.clear)


async def _step(engine: Engine, unit: Callable[[Tx], T]) -> T:
    """A transaction, and a pause of the same length: half of the time is left to other writers."""
    begun = time.monotonic()
    done = await engine.write_apart(unit)
    await asyncio.sleep(time.monotonic() - begun)
    return done
