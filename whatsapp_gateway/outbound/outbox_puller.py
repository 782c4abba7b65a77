"""Pulls items over one route to the kernel service, by one stream after the other."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, wait_random_exponential

from whatsapp_gateway.kernel.client import MOST_AT_ONCE, OTHER_NODE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.kernel.routes import Route
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.outbox_stream import OutboxStream
from whatsapp_gateway.outbound.stall_detector import StallDetector

logger = logging.getLogger(__name__)

RELEASE_SECONDS: Final = 2
RELEASE_RETRY_SECONDS: Final = 30
"""How long the release of leases waits for an unavailable kernel service before each attempt to pull."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
LONGEST_PAUSE_OF_NODE: Final = 30.0
"""A node that cannot be reached from here is tried rarely: its work arrives over the other routes."""
_UNAVAILABLE: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"})


class OutboxPuller:
    """A stream of one route, which is reopened whenever it ends.

    name is the instance id of its streams. Leases under it that this process does not know are released.

    most() is the number of items that the next stream may hold. now is the monotonic clock of the leases.
    """

    def __init__(
        self,
        kernel: KernelClient,
        route: Route,
        deliveries: Deliveries,
        metrics: Metrics,
        *,
        name: str,
        numbers: Sequence[str],
        most: Callable[[], int],
        stall_detector: StallDetector,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._route = route
        self._deliveries = deliveries
        self._metrics = metrics
        self._name = name
        self._numbers = numbers
        self._most = most
        self._stall_detector = stall_detector
        self._now = now
        self._has_pulled = False
        self._is_wrong = False
        self._last_problem = ""

    async def run(self) -> None:
        """Pull for ever, unless the route leads to another node than its own."""
        served_nothing = retry_if_exception_type(Exception) | retry_if_result(lambda served: not served)
        longest = LONGEST_PAUSE_OF_NODE if self._route.node_id else LONGEST_PAUSE
        wait = wait_random_exponential(multiplier=FIRST_PAUSE, max=longest)
        while not self._is_wrong:
            await AsyncRetrying(retry=served_nothing, wait=wait)(self._pull)
            await asyncio.sleep(FIRST_PAUSE)
        await self.release()

    async def release(self) -> None:
        """Once no stream is open: release the leases that this process does not know."""
        if self._has_pulled:
            with suppress(KernelCallError):  # otherwise the leases end with the stream
                await self._release_leases(RELEASE_SECONDS)

    async def _pull(self) -> bool:
        """Read one stream to its end. Returns whether it brought an item, or lasted, or no further one is wanted."""
        if self._route.node_id and self._kernel.nodes.is_draining(self._route.node_id):
            return False
        began = self._now()
        served = False
        stream = OutboxStream(self._stall_detector, self._now)
        try:
            # Through any node: this one may be lost to this process alone, and others can bring what it had leased.
            await self._release_leases(RELEASE_RETRY_SECONDS)
            if self._route.node_id:
                await self._route.connect()
            self._has_pulled = True
            async with self._kernel.pull(self._route, self._numbers, self._name, self._most()) as items:
                async for item in items:
                    served, self._last_problem = True, ""
                    if not stream.is_live():
                        # The item may have been buffered since before its lease expired, and the next ones too.
                        logger.warning("this process was suspended for a while: pulling again")
                        break
                    self._deliveries.take(item, stream)
        except KernelCallError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            self._log_once(refusal.reason)
            self._is_wrong = refusal.reason == OTHER_NODE
        except Exception as fault:  # noqa: BLE001 - or nothing would be pulled any more, unnoticed
            logger.error("fault while pulling replies: %s", type(fault).__name__)  # noqa: TRY400
        finally:
            stream.end()
        return served or self._is_wrong or self._now() - began > LONGEST_PAUSE

    def _log_once(self, problem: str) -> None:
        """One log line per outage instead of one per second."""
        if self._route.node_id and not self._last_problem:
            logger.warning("%s cannot be reached: %s; its work goes through other nodes", self._route.name, problem)
        elif not self._route.node_id and problem != self._last_problem:
            logger.warning("replies cannot be pulled through %s: %s; still trying", self._route.name, problem)
        self._last_problem = problem

    async def _release_leases(self, timeout: float) -> None:
        """Release leases of this route that this process does not know: they were lost with an earlier stream.

        `KernelCallError`: the service is unavailable. After other errors the leases expire by themselves.
        """
        in_hand = self._deliveries.in_hand()
        if len(in_hand) > MOST_AT_ONCE:
            return
        try:
            await self._kernel.give_back(self._name, sorted(in_hand), timeout)
        except KernelCallError as refusal:
            if refusal.reason in _UNAVAILABLE:
                raise
            self._metrics.kernel_errors.labels(refusal.reason).inc()
