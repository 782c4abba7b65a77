"""The vendor knows only a moment later of a consent that it was given, or of a session that it completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOKS: Final = 4
LOOK_INTERVAL_SECONDS: Final = 1.0

_PENDING: Final = ("INITIALIZING", "INITIATED")


async def settled_status(look: Callable[[], Awaitable[str]], sleep: Callable[[float], Awaitable[None]]) -> str:
    """Composio's status of an account once it is no longer pending, or the last one seen. Raises what `look` raises."""
    status = await look()
    for _ in range(LOOKS - 1):
        if status not in _PENDING:
            break
        await sleep(LOOK_INTERVAL_SECONDS)
        status = await look()
    return status
