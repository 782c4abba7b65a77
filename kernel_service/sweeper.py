"""The sweeper: work that no event announces, such as messages from before a restart, expired leases, idle kernels."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kernel_service.kernels.evictor import Evictor
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.ports.inbox import InboxStore
    from kernel_service.ports.keys import KeyStore
    from kernel_service.ports.retention import RetentionStore

log = logging.getLogger(__name__)

PEOPLE_PER_SWEEP = 10_000
LAPSE_SECONDS = 1.0
"""The interval for leases, in-doubt replies and memory. It adds to the wait of people after a crash."""
ROUND_SECONDS = 5.0
"""The interval for files and attempts to connect, which last far longer."""
RETENTION_SECONDS = 3600.0


class LapsedAttempts(Protocol):
    """Ends expired attempts to connect."""

    async def sweep(self) -> None: ...


class Sweeper:
    """Separate loops: one for people and kernels, faster ones for leases and files, a slow one for retention."""

    def __init__(  # noqa: PLR0917 - the parts that it sweeps
        self,
        inbox: InboxStore,
        retention: RetentionStore,
        keys: KeyStore,
        kernels: KernelMap,
        outbox: Outbox,
        transfers: MediaTransfers,
        evictor: Evictor,
        *,
        connect: LapsedAttempts,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._inbox = inbox
        self._retention = retention
        self._keys = keys
        self._kernels = kernels
        self._outbox = outbox
        self._transfers = transfers
        self._connect = connect
        self._evictor = evictor
        self._seconds = seconds
        self._clock = clock

    async def sweep(self) -> None:
        """One pass: wake people who are due, evict idle kernels."""
        for person_id in await self._inbox.due_people(now=self._clock(), limit=PEOPLE_PER_SWEEP):
            self._kernels.wake(person_id)
        await self._evictor.sweep()

    async def forget(self) -> None:
        """Delete expired data."""
        forgotten = await self._retention.forget_old(now=self._clock())
        if forgotten:
            log.info("rows past their retention deleted count=%d", forgotten)

    async def seal_clear_ids(self) -> None:
        """Seal the message ids that an earlier release kept in clear."""
        if rows := await self._keys.seal_clear_ids():
            log.info("message ids of an earlier release sealed rows=%d", rows)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweeps inside the block. The first pass is at once, for messages from before a restart."""
        rounds = (
            (self._seconds, self.sweep),
            (min(LAPSE_SECONDS, self._seconds), self._outbox.sweep),
            (min(LAPSE_SECONDS, self._seconds), self._evictor.bound_memory),
            (min(ROUND_SECONDS, self._seconds), self._transfers.sweep),
            (min(ROUND_SECONDS, self._seconds), self._connect.sweep),
            (self._seconds, self.seal_clear_ids),
            (RETENTION_SECONDS, self.forget),
        )
        loops = [asyncio.create_task(self._every(seconds, work), name=work.__name__) for seconds, work in rounds]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        put_off = ""
        while True:
            try:
                await work()
                put_off = ""
            except KernelError as error:
                if error.reason != put_off:
                    log.warning("sweep deferred reason=%s", error.reason)
                put_off = error.reason
            except Exception:
                log.exception("sweep failed")
            await asyncio.sleep(seconds)
