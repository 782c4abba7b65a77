"""Builds the parts that deliver an answer: the outbox, the waiting callers, the watchers of a turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.inbox.waiters import Waiters
from kernel_service.outbox.outbox import Outbox
from kernel_service.ports.progress import Progress

if TYPE_CHECKING:
    from kernel_service.wiring.foundation import Foundation


@dataclass(frozen=True, slots=True)
class DeliveryParts:
    outbox: Outbox
    waiters: Waiters
    progress: Progress


def build_delivering(base: Foundation) -> DeliveryParts:
    outbox = Outbox(base.store.outbox, base.membership, base.notices, base.clock)
    base.membership.channels = outbox.channels
    return DeliveryParts(outbox, Waiters(base.notices, base.membership), Progress())
