"""Builds the sweeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.kernels.evictor import Evictor
from kernel_service.schedules.ticker import ScheduleTicker
from kernel_service.sweeper import Sweeper
from kernel_service.triggers.teller import EventTeller

if TYPE_CHECKING:
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.wiring.connecting import ConnectParts
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.receiving import ReceivingParts


def build_sweeper(base: Foundation, received: ReceivingParts, outbox: Outbox, connect: ConnectParts) -> Sweeper:
    settings, store = base.settings, base.store
    evictor = Evictor(
        received.kernels,
        idle_seconds=settings.kernel_idle_seconds,
        memory_bytes=int(settings.kernel_memory_mb * 1024 * 1024),
        clock=base.clock,
    )

    def most_waiting() -> int:
        """The other half of the turns is reserved for people's own messages."""
        return len(base.membership.nodes) * max(1, settings.kernel_max_turns // 2)

    return Sweeper(
        store.inbox,
        store.retention,
        store.keys,
        base.membership,
        received.kernels,
        outbox,
        received.transfers,
        evictor,
        connect=connect.attempt_closer,
        schedules=ScheduleTicker(
            store.schedules,
            received.placement.arrived,
            base.clock,
            most_waiting,
        ),
        watching=connect.watching.remover,
        events=EventTeller(
            store.triggers, received.placement.arrived, outbox.ready, base.clock, connect.watching.limits, most_waiting
        ),
        callers=received.inbox,
        deletion=received.deletion,
        revoker=connect.revoker,
        seconds=settings.kernel_sweep_seconds,
        clock=base.clock,
    )
