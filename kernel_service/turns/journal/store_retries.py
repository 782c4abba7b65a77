"""Retries store operations, so that a short outage of the store does not discard the work of a turn."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

STORE_RETRIES: Final = 30
"""The most retries of an operation. Each attempt on an unavailable store takes about a second by itself."""
PAUSE_SECONDS: Final = 1.0


async def until_stored(operation: Callable[[], Awaitable[T]]) -> T:
    """Returns the result of the operation. A retry is safe, since StoreUnavailable means that nothing was kept."""
    for _ in range(STORE_RETRIES):
        try:
            return await operation()
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_SECONDS)
    return await operation()
