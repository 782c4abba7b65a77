"""Builds the listening ports: the gRPC services and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from kernel_service.api.admin_servicer import AdminServicer
from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.api.kernel_servicer import KernelServicer
from kernel_service.api.listener import Listener
from kernel_service.api.peers import Peers
from kernel_service.api.tokens import RefusedTokens, Tokens
from kernel_service.cluster.key_rotation import KeyRotation
from kernel_service.metrics.cluster import ClusterMetrics
from kernel_service.metrics.endpoint import Metrics
from kernel_service.metrics.work import WorkMetrics
from kernel_service.outbox.invitations import Invitations
from kernel_service.people.exporting import PersonExport
from serving.listening import Address

if TYPE_CHECKING:
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.ports.admin import Backlog
    from kernel_service.wiring.connecting import ConnectParts
    from kernel_service.wiring.delivering import DeliveryParts
    from kernel_service.wiring.foundation import Foundation
    from kernel_service.wiring.receiving import ReceivingParts
    from kernel_service.wiring.vendors import Vendors


@dataclass(frozen=True, slots=True)
class ServedParts:
    listener: Listener
    metrics: Metrics


def build_served(
    base: Foundation,
    vendors: Vendors,
    connect: ConnectParts,
    received: ReceivingParts,
    delivery: DeliveryParts,
) -> ServedParts:
    settings = base.settings
    admission = ChannelAdmission(ChannelLimits(settings.kernel_channel_pulls, settings.kernel_channel_calls))
    refused_tokens = RefusedTokens(base.monotonic)
    listener = Listener(
        Address.parse(settings.kernel_listen),
        Tokens(settings.tokens(), settings.kernel_admin_token.get_secret_value()),
        _kernel_servicer(base, connect, received, delivery.outbox, admission),
        _admin_servicer(base, connect, received),
        admission,
        refused_tokens,
        settings.kernel_upload_idle_seconds,
        settings.tls(),
    )
    metrics = Metrics(
        Address.parse(settings.kernel_metrics_listen),
        received.kernels,
        received.people,
        base.store.ping,
        turns=received.turns.counters,
        connects=connect.attempt_closer.outcomes,
        refused_events=connect.pages.refused_events.counts,
        queues=vendors.queues,
        outages=vendors.openai.outages,
        flaws=vendors.openai.flaws,
        refused_tokens=refused_tokens.counts,
        refused_calls=admission.refused,
        cluster=ClusterMetrics(base.membership, base.notices, received.kernels.moves),
        work=WorkMetrics(
            received.turns.counters,
            received.kernels.tasks,
            admission,
            vendors.openai.latencies,
            base.store.engine.outages,
            max_turns=settings.kernel_max_turns,
        ),
        backlog=partial(_backlog, base),
    )
    return ServedParts(listener, metrics)


async def _backlog(base: Foundation) -> Backlog | None:
    """Only the leader reads it."""
    return await base.store.admin.backlog(now=base.clock()) if base.membership.is_leader else None


def _kernel_servicer(
    base: Foundation,
    connect: ConnectParts,
    received: ReceivingParts,
    outbox: Outbox,
    admission: ChannelAdmission,
) -> KernelServicer:
    return KernelServicer(
        received.inbox,
        outbox,
        Invitations(base.store.invitations, base.clock),
        received.transfers,
        base.store.people,
        received.people,
        connect.connections,
        connect.connect_links,
        base.store.schedules,
        base.store.memory,
        admission,
        base.membership,
        received.turns.traces,
        base.clock,
    )


def _admin_servicer(base: Foundation, connect: ConnectParts, received: ReceivingParts) -> AdminServicer:
    settings = base.settings
    return AdminServicer(
        received.kernels,
        received.placement,
        base.store,
        received.people,
        received.deletion,
        PersonExport(base.store.exports),
        connect.connections,
        KeyRotation(base.store.keys, base.notices),
        base.membership,
        Peers(base.membership, settings.kernel_admin_token.get_secret_value(), settings.peer_tls()),
        base.clock,
    )
