"""Builds the parts that inform people of events in their accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.ports.triggers import SETTLE_SECONDS, TriggerLimits
from kernel_service.triggers.events import TriggerEvents
from kernel_service.triggers.remover import TriggerRemover
from kernel_service.triggers.triggers import Triggers

if TYPE_CHECKING:
    from kernel_service.composio.client import Composio
    from kernel_service.connections.accounts import Connections
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.wiring.foundation import Foundation


@dataclass(frozen=True, slots=True)
class WatchingParts:
    """The parts of triggers. `is_enabled`: people may have some, and the vendor's events can reach this service."""

    triggers: Triggers
    events: TriggerEvents
    remover: TriggerRemover
    limits: TriggerLimits
    is_enabled: bool


def build_watching(base: Foundation, composio: Composio, connections: Connections, outbox: Outbox) -> WatchingParts:
    settings, store, clock = base.settings, base.store.triggers, base.clock
    gather_seconds = settings.kernel_trigger_gather_seconds
    limits = TriggerLimits(
        gather_seconds=gather_seconds,
        settle_seconds=min(SETTLE_SECONDS, gather_seconds),
        daily_messages=settings.kernel_daily_triggered_per_user,
        triggers=settings.kernel_triggers_per_user,
        allowed=settings.allowed(),
        toolkits=frozenset(settings.toolkits()),
    )
    triggers = Triggers(composio.triggers, store, clock, limits)
    return WatchingParts(
        triggers,
        TriggerEvents(store, connections, outbox.ready, clock, limits),
        TriggerRemover(triggers, store, clock),
        limits,
        is_enabled=bool(settings.composio_webhook_secret.get_secret_value()) and limits.triggers > 0,
    )
