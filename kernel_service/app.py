"""Builds all parts once, serves, drains. `wiring` builds each group of parts; only they read the settings."""

from __future__ import annotations

import logging
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service.proxies import check_proxies
from kernel_service.wiring.answering import build_answering
from kernel_service.wiring.connecting import build_connecting
from kernel_service.wiring.delivering import build_delivering
from kernel_service.wiring.foundation import announce, lay_foundation
from kernel_service.wiring.receiving import build_receiving
from kernel_service.wiring.serving import build_served
from kernel_service.wiring.sweeping import build_sweeper
from kernel_service.wiring.vendors import build_vendors
from serving.listening import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from kernel_service.config import Settings
    from kernel_service.connections.attempt_closer import AttemptCloser
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.storage.store import Store
    from kernel_service.sweeper import Sweeper
    from kernel_service.wiring.delivering import DeliveryParts
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.receiving import ReceivingParts

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KernelServer:
    """A running service and the port it listens on."""

    port: int
    kernels: KernelMap
    store: Store
    sweeper: Sweeper
    transfers: MediaTransfers
    attempt_closer: AttemptCloser


@asynccontextmanager
async def serve(
    settings: Settings, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[KernelServer]:
    """Runs all parts, from the store to the port. The exit drains them. If a part fails, earlier ones are closed."""
    check_proxies(os.environ)
    _warn_of_exposure(settings)
    async with AsyncExitStack() as stack:
        base = await lay_foundation(settings, stack, wall, monotonic)
        delivery = build_delivering(base)
        vendors = build_vendors(base)
        connect = await build_connecting(base, vendors.composio, delivery.outbox)
        turns = await build_answering(base, vendors, connect, delivery)
        received = build_receiving(base, turns, delivery)
        served = build_served(base, vendors, connect, received, delivery)
        sweeper = build_sweeper(base, received, delivery.outbox, connect)
        health = served.listener.health
        base.membership.on_silence(lambda is_silent: health.report(serves=not is_silent))
        port = await stack.enter_async_context(served.listener.serving(_drain(base, received, delivery)))
        await announce(base, port)
        metrics_port = await stack.enter_async_context(served.metrics.serving())
        base.membership.on_change(sweeper.check_now)
        base.notices.on_missed(sweeper.check_now)
        await stack.enter_async_context(sweeper.running())
        connect_port = await stack.enter_async_context(connect.pages.serving(Address.parse(settings.connect_listen)))
        base.notices.begin(base.membership.me)
        log.info("serving port=%d metrics_port=%d connect_port=%d", port, metrics_port, connect_port)
        yield KernelServer(port, received.kernels, base.store, sweeper, received.transfers, connect.attempt_closer)


def _drain(base: Foundation, received: ReceivingParts, delivery: DeliveryParts) -> Callable[[], Awaitable[None]]:
    async def drain() -> None:
        received.inbox.close()
        delivery.outbox.close()
        await base.membership.drain()
        await received.kernels.drain(base.settings.kernel_drain_seconds)
        delivery.waiters.close()

    return drain


def _warn_of_exposure(settings: Settings) -> None:
    if settings.kernel_allow_insecure:
        log.warning("KERNEL_ALLOW_INSECURE is true: settings that are unsafe off this machine are not refused")
    if settings.is_unlimited():
        log.warning(
            "everybody may write, and nothing bounds what it costs: set KERNEL_ALLOWED_USERS, or a budget of "
            "KERNEL_DAILY_TOKENS or KERNEL_DAILY_TOKENS_PER_USER"
        )
