"""A browser's request waits while the vendor is busy: the page loads meanwhile, and the person need not click again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from kernel_service.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

MAX_BUSY_SECONDS: Final = 25.0
"""Shorter than the timeouts of proxies and browsers."""


async def retry_while_busy(do: Callable[[], Awaitable[T]], sleep: Callable[[float], Awaitable[None]]) -> T:
    """The result of `do`, called again after each Busy. Busy: the waits would exceed MAX_BUSY_SECONDS in all."""
    left = MAX_BUSY_SECONDS
    while True:
        try:
            return await do()
        except Busy as busy:
            if busy.retry_after > left:
                raise
            left -= busy.retry_after
            await sleep(busy.retry_after)
