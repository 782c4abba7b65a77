"""The evictor: releases idle kernels, and the least recently used ones when memory exceeds its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.kernels.kernel import EvictionReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.kernels.kernel_map import KernelMap


class Evictor:
    """`memory_bytes` is the budget for all kernels together; 0: none."""

    def __init__(
        self, kernels: KernelMap, *, idle_seconds: float, memory_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._kernels = kernels
        self._idle_seconds = idle_seconds
        self._memory_bytes = memory_bytes
        self._clock = clock

    async def sweep(self) -> None:
        """One pass, least recently used first. A busy kernel is skipped until the next pass."""
        resident = self._kernels.resident()
        surplus = sum(kernel.bytes for kernel in resident) - self._memory_bytes if self._memory_bytes else 0
        idle_before = self._clock() - self._idle_seconds
        for kernel in resident:
            if kernel.last_used_at > idle_before and surplus <= 0:
                return  # the following kernels were used later
            if self._kernels.busy(kernel.person_id) or self._kernels.get(kernel.person_id) is not kernel:
                continue
            idle = kernel.last_used_at <= idle_before
            surplus -= kernel.bytes
            await self._kernels.evict(kernel.person_id, EvictionReason.IDLE if idle else EvictionReason.MEMORY)
