"""Rate limits of the connect pages: by address, by page, and for unmatched sessions. Each counts one minute."""

from __future__ import annotations

from typing import Final

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from kernel_service.connections.tokens import digest

MOST_OF_ADDRESS: Final = RateLimitItemPerMinute(600, namespace="address")
"""A connection takes about six, and people behind one carrier's NAT share an address: a hundred of them may connect an
account in the same minute. Clients of other addresses are not affected."""
MOST_OF_PAGE: Final = RateLimitItemPerMinute(60, namespace="page")
"""Of one link's pages, by each method."""
MOST_UNMATCHED_OF_ADDRESS: Final = RateLimitItemPerMinute(10, namespace="unmatched of address")
MOST_UNMATCHED: Final = RateLimitItemPerMinute(120, namespace="unmatched")
"""Each is a row for a day, so that their table has 172,800 rows (about 20 MB) of each node at most; more are still
rejected."""


class RequestThrottle:
    """`client` is whose request it is, as TrustedProxies says."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def admits(self, client: str, method: str, page: str = "") -> bool:
        """A refused request takes no memory, an admitted one at most a digest. `page` empty: no page of a link."""
        if not await self._limiter.hit(MOST_OF_ADDRESS, client):
            return False
        return not page or await self._limiter.hit(MOST_OF_PAGE, digest(f"{method} {page}").hex())

    async def admits_unmatched(self, client: str) -> bool:
        """Whether one more unmatched session may be a row: first by the limit of its address, then by that of all."""
        return await self._limiter.hit(MOST_UNMATCHED_OF_ADDRESS, client) and await self._limiter.hit(MOST_UNMATCHED)
