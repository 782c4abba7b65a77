"""Pulls items over one route to the kernel service, by one stream after the other."""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from kernel.v1 import outbox_pb2
from tenacity import AsyncRetrying, retry_if_exception_type, retry_if_result, wait_random_exponential

from kernel_client.connection import MOST_AT_ONCE, OTHER_NODE, KernelConnection
from kernel_client.errors import KernelError
from kernel_client.observer import Observer
from kernel_client.outbox_stream import OutboxStream
from kernel_client.receiver import Receiver
from kernel_client.routes import Route
from kernel_client.stall_detector import StallDetector
from kernel_client.tls_diagnosis import REASONS as TLS_REASONS

logger = logging.getLogger(__name__)

RELEASE_SECONDS: Final = 2
RELEASE_RETRY_SECONDS: Final = 30
"""How long the release of leases waits for an unavailable kernel service before each attempt to pull."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
LONGEST_PAUSE_OF_NODE: Final = 30.0
"""A node that cannot be reached from here is tried rarely: its work arrives over the other routes. No pause that the
service asks for is longer, either.
"""
_UNAVAILABLE: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE"})


class _SuspendedError(Exception):
    """This process was suspended while the stream was open."""


class OutboxPuller:
    """A stream of one route, which is reopened whenever it ends.

    attach names the streams (instance_id). Leases under that name that this process does not know are released.

    most() is the number of items that the next stream may hold. now is the monotonic clock of the leases.
    """

    def __init__(
        self,
        kernel: KernelConnection,
        route: Route,
        receiver: Receiver,
        observer: Observer,
        *,
        attach: outbox_pb2.PullOutboxRequest,
        most: Callable[[], int],
        stall_detector: StallDetector,
        now: Callable[[], float],
    ) -> None:
        self._kernel = kernel
        self._route = route
        self._receiver = receiver
        self._observer = observer
        self._attach = attach
        self._most = most
        self._stall_detector = stall_detector
        self._now = now
        self._has_pulled = False
        self._served = False
        self._is_wrong = False
        self._last_problem = ""
        self._asked_pause = 0.0

    async def run(self) -> None:
        """Pull for ever, unless the route leads to another node than its own."""
        served_nothing = retry_if_exception_type(Exception) | retry_if_result(lambda served: not served)
        longest = LONGEST_PAUSE_OF_NODE if self._route.node_id else LONGEST_PAUSE
        backoff = wait_random_exponential(multiplier=FIRST_PAUSE, max=longest)
        retrying = AsyncRetrying(retry=served_nothing, wait=lambda retry: max(backoff(retry), self._asked_pause))
        while not self._is_wrong:
            await retrying(self._pull)
            await asyncio.sleep(max(FIRST_PAUSE, self._asked_pause))
        await self.release()

    async def release(self) -> None:
        """Once no stream is open: release the leases that this process does not know."""
        if self._has_pulled:
            with suppress(KernelError):  # otherwise the leases end with the stream
                await self._release_leases(RELEASE_SECONDS)

    async def _pull(self) -> bool:
        """Read one stream to its end. Returns whether it brought an item, or lasted, or no further one is wanted."""
        if self._route.node_id and self._kernel.nodes.is_draining(self._route.node_id):
            return False
        began = self._now()
        self._served, self._asked_pause = False, 0.0
        stream = OutboxStream(self._stall_detector, self._now)
        try:
            await self._log_tls()
            # Through any node: this one may be lost to this process alone, and others can bring what it had leased.
            await self._release_leases(RELEASE_RETRY_SECONDS)
            if self._route.node_id:
                await self._route.connect()
            self._has_pulled = True
            self._attach.max_in_flight = self._most()
            async with self._stall_detector.interrupts():
                await self._kernel.pull(self._route, self._attach, partial(self._take, stream))
        except (_SuspendedError, TimeoutError):
            # An item may have been buffered since before its lease expired. The waiting ones come again at once.
            logger.warning("this process was suspended for a while: pulling again")
        except KernelError as error:
            self._asked_pause = min(error.retry_after, LONGEST_PAUSE_OF_NODE)
            refusal = await self._kernel.explained(error, self._route)
            self._observer.failed(refusal)
            self._log_once(refusal)
            if not (self._kernel.may_pass(refusal) or self._route.node_id):
                self._observer.pull_refused(refusal)
            self._is_wrong = refusal.reason == OTHER_NODE
        except Exception as fault:  # noqa: BLE001 - or nothing would be pulled any more, unnoticed
            logger.error("fault while pulling replies: %s", type(fault).__name__)  # noqa: TRY400
        finally:
            stream.end()
        return self._served or self._is_wrong or self._now() - began > LONGEST_PAUSE

    def _take(self, stream: OutboxStream, item: outbox_pb2.PullOutboxResponse, node_id: str) -> None:
        self._served, self._last_problem, stream.node_id = True, "", node_id
        if not stream.is_live():
            raise _SuspendedError
        self._receiver.take(item, stream)

    async def _log_tls(self) -> None:
        """Say soon what is wrong with TLS: the call that follows waits for the service much longer, and hides it."""
        try:
            await self._kernel.connect(math.inf)
        except KernelError as problem:
            if problem.reason in TLS_REASONS:
                self._log_once(problem)

    def _log_once(self, refusal: KernelError) -> None:
        """One log line per outage instead of one per second."""
        problem = refusal.reason
        is_of_tls = problem in TLS_REASONS
        if self._route.node_id and (not self._last_problem or (is_of_tls and problem != self._last_problem)):
            told = refusal if is_of_tls else problem
            logger.warning("the work of %s goes through other nodes: it cannot be reached: %s", self._route.name, told)
        elif not self._route.node_id and problem != self._last_problem:
            logger.warning("no replies come through %s until this is solved: %s", self._route.name, refusal)
        self._last_problem = problem

    async def _release_leases(self, timeout: float) -> None:
        """Release leases of this route that this process does not know: they were lost with an earlier stream.

        `KernelError`: the service is unavailable. After other errors the leases expire by themselves.
        """
        in_hand = self._receiver.in_hand()
        if len(in_hand) > MOST_AT_ONCE:
            return
        try:
            await self._kernel.release(self._attach.instance_id, sorted(in_hand), timeout)
        except KernelError as refusal:
            if refusal.reason in _UNAVAILABLE:
                raise
            self._observer.failed(refusal)
