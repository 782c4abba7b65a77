"""The sweeper: what no event announces. People whose messages waited out a restart, lapsed leases, idle kernels."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kernel_service.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.kernels.evictor import Evictor
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.kernels.outbox import Outbox
    from kernel_service.kernels.store import InboxStore

log = logging.getLogger(__name__)

PEOPLE_PER_SWEEP = 1000
LAPSE_SECONDS = 5.0
"""How often leases are looked at; they last far longer."""


class Sweeper:
    """Two loops of its own: one for people and kernels, a quicker one for leases."""

    def __init__(
        self,
        store: InboxStore,
        kernels: KernelMap,
        outbox: Outbox,
        evictor: Evictor,
        *,
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._kernels = kernels
        self._outbox = outbox
        self._evictor = evictor
        self._seconds = seconds
        self._clock = clock

    async def sweep(self) -> None:
        """One pass: wake whoever is due, evict whoever may go."""
        for person_id in await self._store.due_people(now=self._clock(), limit=PEOPLE_PER_SWEEP):
            self._kernels.wake(person_id)
        await self._evictor.sweep()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sweeps from now on; the first pass at once, for what waited out a restart."""
        loops = [
            asyncio.create_task(self._every(self._seconds, self.sweep), name="sweep people"),
            asyncio.create_task(
                self._every(min(LAPSE_SECONDS, self._seconds), self._outbox.sweep), name="sweep leases"
            ),
        ]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _every(self, seconds: float, work: Callable[[], object]) -> None:
        while True:
            try:
                await work()  # type: ignore[misc]
            except KernelError as error:
                log.warning("sweep put off reason=%s", error.reason)
            except Exception:
                log.exception("sweep broke")
            await asyncio.sleep(seconds)
