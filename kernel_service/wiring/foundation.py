"""Builds the parts that all others need: the store, the membership among the nodes, the notices, the clock."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.clock import SteadyClock
from kernel_service.cluster.membership import Membership
from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.media.read_as import MIB
from kernel_service.ports.nodes import Node
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.weak_ids import WeakIdExpiry
from kernel_service.schedules.limits import ScheduleLimits
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from serving.emulated_clock import EmulatedClock
from serving.listening import Address

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from kernel_service.config import Settings
    from kernel_service.storage.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Foundation:
    """`stack` closes the parts in reverse order. `clock` returns epoch seconds, `monotonic` those of the process."""

    settings: Settings
    stack: AsyncExitStack
    store: Store
    membership: Membership
    notices: NoticeBoard
    clock: Callable[[], float]
    monotonic: Callable[[], float]


async def lay_foundation(
    settings: Settings, stack: AsyncExitStack, wall: Callable[[], float], monotonic: Callable[[], float]
) -> Foundation:
    store = await _open_store(settings, stack)
    membership = await _join(store, stack)
    shared_wall = membership.database_time if store.engine.is_shared else wall
    clock = SteadyClock(_emulated(settings, shared_wall), monotonic, newest=await store.newest_time())
    return Foundation(settings, stack, store, membership, NoticeBoard(store.engine.notices, clock), clock, monotonic)


def _emulated(settings: Settings, wall: Callable[[], float]) -> Callable[[], float]:
    """The time of a demo or a test, if there is one."""
    if settings.kernel_emulated_clock is None:
        return wall
    emulated = EmulatedClock(settings.kernel_emulated_clock)
    log.warning("KERNEL_EMULATED_CLOCK is set: time may be moved forward, now by %.0f s", emulated.ahead)
    return emulated.over(wall)


async def _open_store(settings: Settings, stack: AsyncExitStack) -> Store:
    keys = MasterKeys.parse(settings.kernel_encryption_keys.get_secret_value())
    url, media_bytes = settings.kernel_database_url.get_secret_value(), int(settings.kernel_media_mb * MIB)
    store = await open_store(
        url,
        keys,
        direct_url=settings.kernel_database_direct_url.get_secret_value(),
        pool=settings.kernel_database_pool,
        media_bytes=media_bytes,
        media_bytes_per_person=int(settings.kernel_media_mb_per_user * MIB),
        weak_ids=WeakIdExpiry(settings.kernel_weak_id_days),
        retention=RetentionPolicy(
            settings.kernel_history_days,
            int(settings.kernel_history_mb_per_user * MIB),
            settings.kernel_inactive_days,
        ),
        schedules=ScheduleLimits(
            settings.kernel_schedules_per_user,
            settings.kernel_schedule_minutes_apart,
            settings.kernel_schedule_runs_per_day,
            settings.kernel_schedule_years_ahead,
            settings.allowed(),
        ),
    )
    stack.push_async_callback(store.close)
    return store


async def _join(store: Store, stack: AsyncExitStack) -> Membership:
    # A restarted process has a new id, so that it does not treat its predecessor's leases as its own.
    node = Node(f"k_{secrets.token_hex(8)}", "", SCHEMA_NUMBER)
    membership = Membership(store.nodes, node, alone=not store.engine.is_shared, end_process=store.engine.end_process)
    await membership.join()
    stack.push_async_callback(membership.leave)
    await stack.enter_async_context(membership.beating())
    return membership


async def announce(base: Foundation, port: int) -> None:
    """Publish the address of this node to the others."""
    settings, address = base.settings, base.settings.advertised(port)
    hidden = address.is_loopback and not Address.parse(settings.kernel_listen).is_loopback
    if base.store.engine.is_shared and hidden:
        log.warning(
            "KERNEL_ADVERTISE is not set, and this machine's hostname resolves to itself: gateways and kernel services "
            "on other machines cannot reach this one at %s",
            address,
        )
    await base.membership.announce(str(address))
