"""Builds the sweeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.kernels.evictor import Evictor
from kernel_service.schedules.ticker import ScheduleTicker
from kernel_service.sweeper import Sweeper

if TYPE_CHECKING:
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.receiving import ReceivingParts


def build_sweeper(base: Foundation, received: ReceivingParts, outbox: Outbox, attempt_closer: AttemptCloser) -> Sweeper:
    settings, store = base.settings, base.store
    evictor = Evictor(
        received.kernels,
        idle_seconds=settings.kernel_idle_seconds,
        memory_bytes=int(settings.kernel_memory_mb * 1024 * 1024),
        clock=base.clock,
    )
    return Sweeper(
        store.inbox,
        store.retention,
        store.keys,
        base.membership,
        received.kernels,
        outbox,
        received.transfers,
        evictor,
        connect=attempt_closer,
        schedules=ScheduleTicker(
            store.schedules,
            received.placement.arrived,
            base.clock,
            # The other half of the turns is for people's own messages.
            lambda: len(base.membership.nodes) * max(1, settings.kernel_max_turns // 2),
        ),
        callers=received.inbox,
        seconds=settings.kernel_sweep_seconds,
        clock=base.clock,
    )
