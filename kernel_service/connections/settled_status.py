"""Waits for the vendor's status, which changes a moment after a consent or a completed session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHECKS: Final = 4
CHECK_INTERVAL_SECONDS: Final = 1.0

_PENDING: Final = ("INITIALIZING", "INITIATED")


async def settled_status(status_of: Callable[[], Awaitable[str]], sleep: Callable[[float], Awaitable[None]]) -> str:
    """The account's last status that was read, if possible not a pending one. Raises what `status_of` raises."""
    status = await status_of()
    for _ in range(CHECKS - 1):
        if status not in _PENDING:
            break
        await sleep(CHECK_INTERVAL_SECONDS)
        status = await status_of()
    return status
