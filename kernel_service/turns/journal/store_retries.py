"""A store that is away for a moment costs nothing of what a turn has done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

STORE_RETRIES: Final = 30
"""How often an operation is tried again. A store that is away waits by itself for about a second each time."""
PAUSE_SECONDS: Final = 1.0


async def until_stored(operation: Callable[[], Awaitable[T]]) -> T:
    """The operation's result. It may be repeated, since StoreUnavailable means that nothing was kept."""
    for _ in range(STORE_RETRIES):
        try:
            return await operation()
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await operation()
