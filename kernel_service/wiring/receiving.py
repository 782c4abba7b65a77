"""Builds the parts that accept messages and activate kernels: placement, kernel map, people, files, inbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kernel_service.cluster.placement import Placement
from kernel_service.inbox.inbox import Inbox
from kernel_service.kernels.kernel_map import KernelMap
from kernel_service.media.transfers import MediaTransfers
from kernel_service.people.deletion import Deletion
from kernel_service.people.people import People
from kernel_service.turns.runner import TurnRunner

if TYPE_CHECKING:
    from kernel_service.turns.execution.dependencies import TurnDependencies
    from kernel_service.wiring.delivering import DeliveryParts
    from kernel_service.wiring.foundation import Foundation

MAX_PENDING: Final = 200
"""The most messages of a person that may wait for a turn."""


@dataclass(frozen=True, slots=True)
class ReceivingParts:
    turns: TurnDependencies
    placement: Placement
    kernels: KernelMap
    people: People
    deletion: Deletion
    transfers: MediaTransfers
    inbox: Inbox


def build_receiving(base: Foundation, turns: TurnDependencies, delivery: DeliveryParts) -> ReceivingParts:
    settings, store, clock = base.settings, base.store, base.clock
    placement = Placement(base.membership, base.notices)
    kernels = KernelMap(
        store.kernels,
        store.context,
        TurnRunner(turns, debounce=settings.kernel_debounce_seconds),
        placement,
        max_turns=settings.kernel_max_turns,
        clock=clock,
        model=turns.model.origin,
        defer_seconds=settings.kernel_sweep_seconds,
    )
    transfers = MediaTransfers(
        store.media, store.files, store.made_files, clock, placement.wake, uploads=settings.kernel_channel_uploads
    )
    inbox = Inbox(
        store.inbox,
        store.chats,
        kernels,
        placement,
        delivery.waiters,
        delivery.progress,
        allowed=settings.allowed(),
        debounce=settings.kernel_debounce_seconds,
        max_pending=MAX_PENDING,
        clock=clock,
        media_wanted=delivery.outbox.wanted,
        typing=delivery.outbox.typing,
    )
    people = People(store.people, store.merging, kernels, placement, base.notices, clock)
    caches = kernels, inbox, delivery.outbox.typing
    deletion = Deletion(store.deletion, caches, delivery.waiters, base.notices, clock)
    return ReceivingParts(turns, placement, kernels, people, deletion, transfers, inbox)
