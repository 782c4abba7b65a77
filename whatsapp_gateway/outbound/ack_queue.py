"""Acknowledgements for the kernel service, sent in batches and retried until it takes them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from whatsapp_gateway.gathering import GATHER_SECONDS, Gathering
from whatsapp_gateway.kernel.client import MOST_AT_ONCE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import Ack, AckResult, DeliveryOutcome

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 5
MOST_GATHERED: Final = 25
"""A quarter of the leases that this process may hold (MOST_IN_FLIGHT): those of gathered parts are not free yet."""
RETRY_SECONDS_AFTER_LEASE: Final = 600
"""How long after its lease an acknowledgement is still retried that reports a part as sent or possibly sent."""
_BACKOFF: Final = wait_random_exponential(multiplier=0.1, max=5)
_MAY_BE_SENT: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.UNKNOWN})


class AckQueue:
    """Gathers acknowledgements. Those of failures, and those that the person's next reply waits for, are urgent.

    now is the monotonic clock of the leases.
    """

    def __init__(self, kernel: KernelClient, metrics: Metrics, now: Callable[[], float]) -> None:
        self._kernel = kernel
        self._metrics = metrics
        self._now = now
        self._gathering = Gathering(self._make_ready, most=MOST_GATHERED, seconds=GATHER_SECONDS)
        self._ready: asyncio.Queue[Ack] = asyncio.Queue()
        self._unsettled: Counter[str] = Counter()

    def put(self, ack: Ack) -> None:
        """Queue one acknowledgement; returns at once."""
        self._metrics.parts.labels(ack.outcome.name.lower()).inc()
        self._unsettled[ack.delivery.reply.id] += 1
        waited_for = ack.delivery.has_next and ack.part == ack.parts
        self._gathering.add(ack, urgent=waited_for or ack.outcome is not DeliveryOutcome.SENT)

    def _make_ready(self, acks: Sequence[Ack]) -> None:
        for ack in acks:
            self._ready.put_nowait(ack)

    def unsettled(self) -> set[str]:
        """The ids of replies with an acknowledgement that the kernel service has not taken."""
        return set(self._unsettled)

    def has(self, reply_id: str) -> bool:
        """Whether the reply has an acknowledgement that the kernel service has not taken."""
        return reply_id in self._unsettled

    async def run(self) -> None:
        """Send queued acknowledgements, for ever."""
        while True:
            batch = [await self._ready.get()]
            while len(batch) < MOST_AT_ONCE and not self._ready.empty():
                batch.append(self._ready.get_nowait())
            try:
                await self._settle(batch)
                self._unsettled -= Counter(ack.delivery.reply.id for ack in batch)
            except Exception as fault:  # noqa: BLE001 - the next ones must continue; receipts settle these
                logger.error("fault while settling replies: %s", type(fault).__name__)  # noqa: TRY400
            for _ in batch:
                self._ready.task_done()

    async def flush(self) -> None:
        """Return once every queued acknowledgement is accepted or given up."""
        self._gathering.flush()
        await self._ready.join()

    async def _settle(self, batch: Sequence[Ack]) -> None:
        try:
            await self._until_taken(batch)
        except KernelCallError as refusal:
            await self._settle_one_by_one(batch, refusal)

    async def _until_taken(self, batch: Sequence[Ack]) -> None:
        """Raises a final `KernelCallError`."""
        retryable = retry_if_exception(lambda error: isinstance(error, KernelCallError) and not error.final)
        async for attempt in AsyncRetrying(retry=retryable, wait=pause):
            with attempt:
                batch = [ack for ack in batch if self._still_matters(ack)]
                await self._try(batch)

    async def _try(self, batch: Sequence[Ack]) -> None:
        if not batch:
            return
        try:
            results = await self._kernel.ack(batch, CALL_SECONDS)
        except KernelCallError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            raise
        self._note(batch, results)

    async def _settle_one_by_one(self, batch: Sequence[Ack], refusal: KernelCallError) -> None:
        """An acknowledgement that the service cannot read must not fail the others of its batch."""
        if len(batch) > 1:
            for ack in batch:
                await self._settle([ack])
            return
        self._metrics.acks.labels("refused").inc()
        logger.error("acknowledgement of reply %s refused: %s", batch[0].delivery.reply.id, refusal.reason)

    def _note(self, batch: Sequence[Ack], results: Sequence[AckResult]) -> None:
        for ack, result in zip(batch, results, strict=False):
            self._metrics.acks.labels(result.name.lower()).inc()
            if result in {AckResult.INVALID, AckResult.UNKNOWN}:
                logger.error("acknowledgement of reply %s: %s", ack.delivery.reply.id, result.name)

    def _still_matters(self, ack: Ack) -> bool:
        grace = RETRY_SECONDS_AFTER_LEASE if ack.outcome in _MAY_BE_SENT else 0
        if self._now() < ack.delivery.lease_ends + grace:
            return True
        self._metrics.acks.labels("expired").inc()
        logger.error("acknowledgement of reply %s given up", ack.delivery.reply.id)
        return False


def pause(retry: RetryCallState) -> float:
    """Seconds until the next try, never less than the service requested."""
    error = retry.outcome.exception() if retry.outcome else None
    asked = error.retry_after if isinstance(error, KernelCallError) else 0.0
    return max(_BACKOFF(retry), asked)
