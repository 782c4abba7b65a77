"""A browser waits where others are before it at a vendor: it shows that it loads, and nobody has to click again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE_SECONDS: Final = 25.0
"""Proxies and browsers wait longer than that."""


async def patiently(do: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]]) -> T:
    """Its result; Busy if that would take too long."""
    left = PATIENCE_SECONDS
    while True:
        try:
            return await do()
        except Busy as busy:
            if busy.retry_after > left:
                raise
            left -= busy.retry_after
            await sleep(busy.retry_after)
