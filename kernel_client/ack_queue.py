"""Acknowledgements for the kernel service, sent in batches and retried until it takes them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Final

from kernel.v1 import outbox_pb2
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from kernel_client.acks import Ack
from kernel_client.connection import MOST_AT_ONCE, KernelConnection
from kernel_client.errors import KernelError
from kernel_client.gathering import Gathering
from kernel_client.observer import Observer

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 5
MOST_GATHERED: Final = 25
"""A quarter of the leases that this process may hold (MOST_IN_FLIGHT): those of gathered parts are not free yet."""
RETRY_SECONDS_AFTER_LEASE: Final = 600
"""How long after its lease an acknowledgement is still retried that reports a part as sent or possibly sent."""
LONGEST_PAUSE: Final = 30.0
"""Half a lease. The acknowledgements of all people wait meanwhile, whatever time the service names."""
_BACKOFF: Final = wait_random_exponential(multiplier=0.1, max=5)


_NAMES: Final[dict[int, str]] = {
    outbox_pb2.ACK_RESULT_RECORDED: "recorded",
    outbox_pb2.ACK_RESULT_STALE: "stale",
    outbox_pb2.ACK_RESULT_UNKNOWN: "unknown",
}


class AckQueue:
    """Gathers acknowledgements for `gather_seconds` at most. now is the monotonic clock of the leases."""

    def __init__(
        self,
        kernel: KernelConnection,
        observer: Observer,
        now: Callable[[], float],
        gather_seconds: float,
    ) -> None:
        self._kernel = kernel
        self._observer = observer
        self._now = now
        self._ready: asyncio.Queue[list[Ack]] = asyncio.Queue()
        self._gathering = Gathering(self._ready.put_nowait, most=MOST_GATHERED, seconds=gather_seconds)
        self._retrying = AsyncRetrying(retry=retry_if_exception(_is_retryable), wait=pause)
        self.unsettled: Counter[str] = Counter()
        """The replies with an acknowledgement that the kernel service has not taken, by id."""

    def put(self, ack: Ack) -> None:
        """Queue one acknowledgement; returns at once."""
        self.unsettled[ack.reply_id] += 1
        self._gathering.add(ack, urgent=ack.is_urgent)

    async def run(self) -> None:
        """Send queued acknowledgements, for ever."""
        while True:
            batch, gathered = await self._ready.get(), 1
            while len(batch) + MOST_GATHERED <= MOST_AT_ONCE and not self._ready.empty():
                batch += self._ready.get_nowait()
                gathered += 1
            try:
                await self._settle(batch)
                self._forget(batch)
            except Exception as fault:  # noqa: BLE001 - the next ones must continue; receipts settle these
                logger.error("fault while settling replies: %s", type(fault).__name__)  # noqa: TRY400
                for ack in batch:
                    self._observer.acknowledged(ack, "fault")
                    self._forget_after_its_lease(ack)
            for _ in range(gathered):
                self._ready.task_done()

    def _forget(self, batch: Sequence[Ack]) -> None:
        for ack in batch:
            self.unsettled[ack.reply_id] -= 1
            if not self.unsettled[ack.reply_id]:
                del self.unsettled[ack.reply_id]

    def _forget_after_its_lease(self, ack: Ack) -> None:
        """Until then a release would send it twice; a reply that stayed unsettled would not be sent again at all."""
        asyncio.get_running_loop().call_later(max(0.0, ack.lease_ends - self._now()), self._forget, [ack])

    async def flush(self) -> None:
        """Return once every queued acknowledgement is accepted or given up."""
        self._gathering.flush()
        await self._ready.join()

    async def _settle(self, batch: Sequence[Ack]) -> None:
        try:
            await self._until_taken(batch)
        except KernelError as refusal:
            await self._settle_one_by_one(batch, refusal)

    async def _until_taken(self, batch: Sequence[Ack]) -> None:
        """Raises a final `KernelError`."""
        async for attempt in self._retrying:
            with attempt:
                batch = [ack for ack in batch if self._still_matters(ack)]
                if batch:
                    await self._try(batch)

    async def _try(self, batch: Sequence[Ack]) -> None:
        try:
            results = await self._kernel.acknowledge(batch, CALL_SECONDS)
        except KernelError as refusal:
            self._observer.failed(refusal)
            raise
        self._note(batch, results)

    async def _settle_one_by_one(self, batch: Sequence[Ack], refusal: KernelError) -> None:
        """An acknowledgement that the service cannot read must not fail the others of its batch."""
        if len(batch) > 1:
            for ack in batch:
                await self._settle([ack])
            return
        self._observer.acknowledged(batch[0], "refused")
        logger.error("acknowledgement of reply %s refused: %s", batch[0].reply_id, refusal.reason)

    def _note(self, batch: Sequence[Ack], results: Sequence[int]) -> None:
        for ack, result in zip(batch, chain(results, repeat(outbox_pb2.ACK_RESULT_INVALID)), strict=False):
            name = _NAMES.get(result, "invalid")
            self._observer.acknowledged(ack, name)
            if name == "invalid":
                logger.error("acknowledgement of reply %s: %s", ack.reply_id, name)
            elif name == "unknown":  # an operator deletes a person while a reply to them is being sent
                logger.warning("acknowledgement of reply %s: the reply was deleted", ack.reply_id)

    def _still_matters(self, ack: Ack) -> bool:
        grace = RETRY_SECONDS_AFTER_LEASE if ack.may_be_sent else 0
        if self._now() < ack.lease_ends + grace:
            return True
        self._observer.acknowledged(ack, "expired")
        logger.error("acknowledgement of reply %s given up", ack.reply_id)
        return False


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, KernelError) and error.retryable


def pause(retry: RetryCallState) -> float:
    """Seconds until the next try, not less than the service requested, within LONGEST_PAUSE."""
    error = retry.outcome.exception() if retry.outcome else None
    asked = error.retry_after if isinstance(error, KernelError) else 0.0
    return max(_BACKOFF(retry), min(asked, LONGEST_PAUSE))
