"""The evictor: lets idle kernels rest, releases them later, and frees memory if the process exceeds it."""

from __future__ import annotations

import logging
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from kernel_service import process_memory
from kernel_service.kernels.kernel import EvictionReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.kernels.kernel_map import KernelMap

log = logging.getLogger(__name__)

REST_SECONDS: Final = 600.0
"""A kernel rests after this time. Until then a vendor typically has the prefix of its next request in a cache.

Source: the guide "Prompt caching" of OpenAI (5 to 10 minutes without a request, at most an hour).
"""
FILLED: Final = 0.9
"""The part of the memory that may be in use when kernels are evicted: the rest is for growth until the next check."""


class Evictor:
    """`memory_bytes` limits the resident memory of the whole process; 0: no limit."""

    def __init__(
        self,
        kernels: KernelMap,
        *,
        idle_seconds: float,
        memory_bytes: int,
        clock: Callable[[], float],
        resident_bytes: Callable[[], int] = process_memory.resident_bytes,
    ) -> None:
        self._kernels = kernels
        self._idle_seconds = idle_seconds
        self._memory_bytes = memory_bytes
        self._clock = clock
        self._resident_bytes = resident_bytes
        self._too_full = False

    async def sweep(self) -> None:
        """Let idle kernels rest, and evict those that have been idle for too long.

        A busy kernel is skipped until the next pass.
        """
        for kernel in self._unused_for(REST_SECONDS, self._kernels.awake()):
            self._kernels.rest(kernel)
        await self._kernels.evict_all(
            self._unused_for(self._idle_seconds, self._kernels.resident()), EvictionReason.IDLE
        )

    def _unused_for(self, seconds: float, kernels: Iterable[Kernel]) -> list[Kernel]:
        """The idle ones among the first of these kernels. The others are not checked: there may be a million."""
        before = self._clock() - seconds
        return [*filter(self._is_idle, takewhile(lambda kernel: kernel.last_used_at <= before, kernels))]

    async def bound_memory(self) -> None:
        """Let kernels rest, least recently used first, until the process is back in its memory.

        If that is not enough, resting kernels are evicted.
        """
        if not self._memory_bytes:
            return
        surplus = self._resident_bytes() - int(self._memory_bytes * FILLED)
        if surplus <= 0:
            self._too_full = False
            return
        freed = self._rest(surplus)
        if freed < surplus:
            freed += await self._evict(surplus - freed)
        process_memory.return_freed()
        if freed < surplus and not self._too_full:
            self._too_full = True
            log.warning("memory exceeds KERNEL_MEMORY_MB without idle kernels: raise it, or lower KERNEL_MAX_TURNS")

    def _rest(self, surplus: int) -> int:
        """Let kernels rest until their bytes reach the surplus. Returns the bytes that this frees."""
        freed = 0
        for kernel in filter(self._is_idle, list(self._kernels.awake())):
            if freed >= surplus:
                break
            freed += self._kernels.rest(kernel)
        return freed

    async def _evict(self, surplus: int) -> int:
        """Evict idle kernels until their bytes reach the surplus. Returns the bytes of those that were evicted."""
        chosen, freed = [], 0
        for kernel in filter(self._is_idle, self._kernels.resident()):
            if freed >= surplus:
                break
            chosen.append(kernel)
            freed += kernel.bytes
        await self._kernels.evict_all(chosen, EvictionReason.MEMORY)
        return freed

    def _is_idle(self, kernel: Kernel) -> bool:
        return not self._kernels.busy(kernel.person_id)
