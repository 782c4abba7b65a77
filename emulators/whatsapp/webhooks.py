"""Webhooks from WhatsApp to the business: signed POSTs, retried until they are answered with 200."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp

from emulators.whatsapp.payloads import encode, signature
from serving.cancellation import cancel_and_wait

logger = logging.getLogger(__name__)

_TIMEOUT = aiohttp.ClientTimeout(total=20)


def doubling(attempt: int) -> float:
    """Seconds until the next attempt: half a second, doubled each time, at most a minute."""
    return float(min(0.5 * 2 ** min(attempt, 7), 60))


class Webhooks:
    """Delivers at least once and promises no order, as Meta does.

    Tests may set these attributes:
    - `url`: one URL, or several separated by commas, used in turn as by a load balancer.
    - `backoff`: the seconds to wait after the n-th refusal, from 0.
    - `delay`: the seconds before a POST arrives. POSTs with different delays overtake each other.
    - `copies`: how many times each POST is sent, concurrently.

    Inside `reversed_order()` POSTs are delivered in reverse order.
    """

    def __init__(self, url: str, secret: str, backoff: Callable[[int], float] = doubling) -> None:
        self.url = url
        self.backoff = backoff
        self.delay: Callable[[], float] = lambda: 0.0
        self.copies = 1
        self._posts = count()
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None
        self._deliveries: set[asyncio.Task[None]] = set()
        self._kept: list[tuple[asyncio.Event, asyncio.Task[None]]] | None = None

    def deliver(self, *values: dict[str, Any], field: str = "messages", at: int | None = None) -> asyncio.Task[None]:
        """Start to deliver the values in one POST. The task ends when the business has accepted them."""
        go = asyncio.Event()
        delivery = asyncio.create_task(self._deliver(encode(values, field, at), go))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)
        if self._kept is None:
            go.set()
        else:
            self._kept.append((go, delivery))
        return delivery

    @asynccontextmanager
    async def reversed_order(self) -> AsyncIterator[None]:
        """Withhold deliveries inside the block. At its end deliver them one by one, the last one first."""
        self._kept = []
        try:
            yield
        finally:
            kept, self._kept = self._kept, None
            for go, delivery in reversed(kept):
                go.set()
                await delivery

    async def verify(self, token: str, challenge: str) -> tuple[int, str]:
        """Verify the business's address as Meta does on subscribing. Returns the status and body of its answer."""
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        async with self._client().get(self._next_url(), params=query, timeout=_TIMEOUT) as response:
            return response.status, await response.text()

    async def close(self) -> None:
        await cancel_and_wait(*self._deliveries)
        if self._session is not None:
            await self._session.close()

    async def _deliver(self, raw: bytes, go: asyncio.Event) -> None:
        await go.wait()
        await asyncio.sleep(self.delay())
        for attempt in count():
            answers = await asyncio.gather(*(self._post(raw) for _ in range(self.copies)))
            if all(status == 200 for status in answers):
                return
            if attempt == 0:
                logger.warning("webhook not accepted (statuses %s, 0: no answer); retrying", answers)
            await asyncio.sleep(self.backoff(attempt))

    async def _post(self, raw: bytes) -> int:
        """The status of the answer; 0 if there was no answer."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": signature(self._secret, raw),
        }
        try:
            post = self._client().post(self._next_url(), data=raw, headers=headers, timeout=_TIMEOUT)
            async with post as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError):
            return 0

    def _next_url(self) -> str:
        urls = self.url.split(",")
        return urls[next(self._posts) % len(urls)]

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session
