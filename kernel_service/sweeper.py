"""The sweeper: work that no event announces, such as the people of a dead node, expired leases, idle kernels."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Protocol

from kernel_service.errors import KernelError
from serving.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kernel_service.kernels.evictor import Evictor
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.inbox import InboxStore
    from kernel_service.ports.keys import KeyStore
    from kernel_service.ports.retention import RetentionStore

log = logging.getLogger(__name__)

PEOPLE_PER_SWEEP = 10_000
FAST_SECONDS = 1.0
"""The interval for leases, in-doubt replies, schedules, memory and callers. It adds to people's wait after a crash."""
SLOW_SECONDS = 5.0
"""The interval for files, attempts to connect and deletions, which last far longer."""
RETENTION_SECONDS = 3600.0
DUE_SECONDS = 2.0
"""How often a node among others looks for due people: a notice from another node may be lost."""


class Sweep(Protocol):
    """Work at the vendor that was not completed."""

    async def sweep(self) -> None: ...


class DueWork(Protocol):
    """Puts what is due into people's inboxes."""

    async def tick(self) -> None: ...


class WaitingCallers(Protocol):
    """Finds the ends of messages that other nodes answered, in case no notice came."""

    async def check_waiting(self) -> None: ...


class Sweeper:
    """Separate loops: for people and kernels, faster ones for leases and files, a slow one for retention.

    The leader does the work that concerns the whole database.
    """

    def __init__(  # noqa: PLR0917 - the parts that it sweeps
        self,
        inbox: InboxStore,
        retention: RetentionStore,
        keys: KeyStore,
        cluster: Cluster,
        kernels: KernelMap,
        outbox: Outbox,
        transfers: MediaTransfers,
        evictor: Evictor,
        *,
        connect: Sweep,
        schedules: DueWork,
        watching: Sweep,
        events: DueWork,
        callers: WaitingCallers,
        deletion: Sweep,
        revoker: Sweep,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._inbox = inbox
        self._retention = retention
        self._keys = keys
        self._cluster = cluster
        self._kernels = kernels
        self._outbox = outbox
        self._transfers = transfers
        self._connect = connect
        self._schedules = schedules
        self._watching = watching
        self._events = events
        self._callers = callers
        self._deletion = deletion
        self._revoker = revoker
        self._evictor = evictor
        self._seconds = seconds
        self._clock = clock
        self._changed = asyncio.Event()

    def check_now(self) -> None:
        """Look for due people at once: some may have lost their owner, or a notice about them may be lost."""
        self._changed.set()

    async def sweep(self) -> None:
        """One pass: wake people who are due, evict idle kernels."""
        await self._wake_due()
        await self._evictor.sweep()

    async def _wake_due(self) -> None:
        """Those of this node, and those of no live node whose home this one is."""
        due = await self._inbox.due_people(
            now=self._clock(), limit=PEOPLE_PER_SWEEP, owner=self._cluster.me, adopts=self._is_home
        )
        for person_id in due:
            self._kernels.check(person_id)

    def _is_home(self, person_id: str) -> bool:
        return self._cluster.home_of(person_id) == self._cluster.me

    async def follow_nodes(self) -> None:
        """Wake due people when the nodes have changed, or while there are others."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DUE_SECONDS):
                await self._changed.wait()
        if self._changed.is_set() or len(self._cluster.nodes) > 1:
            self._changed.clear()
            await self._wake_due()

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
            (0.0, self.follow_nodes),
            (min(FAST_SECONDS, self._seconds), self._outbox.sweep),
            (min(FAST_SECONDS, self._seconds), self._evictor.bound_memory),
            (min(FAST_SECONDS, self._seconds), self._callers.check_waiting),
            (min(FAST_SECONDS, self._seconds), self._led(self._schedules.tick)),
            (min(SLOW_SECONDS, self._seconds), self._led(self._transfers.sweep)),
            (min(SLOW_SECONDS, self._seconds), self._led(self._connect.sweep)),
            (min(SLOW_SECONDS, self._seconds), self._led(self._watching.sweep)),
            (min(SLOW_SECONDS, self._seconds), self._led(self._deletion.sweep)),
            (min(SLOW_SECONDS, self._seconds), self._led(self._revoker.sweep)),
            (min(FAST_SECONDS, self._seconds), self._led(self._events.tick)),
            (self._seconds, self._led(self._outbox.retry_held)),
            (self._seconds, self._led(self.seal_clear_ids)),
            (RETENTION_SECONDS, self._led(self.forget)),
        )
        loops = [asyncio.create_task(self._every(seconds, work), name=work.__name__) for seconds, work in rounds]
        try:
            yield
        finally:
            await cancel_and_wait(*loops)

    def _led(self, work: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The work, if this node leads. It may be done twice, or late."""

        @wraps(work)
        async def led() -> None:
            if self._cluster.is_leader:
                await work()

        return led

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
