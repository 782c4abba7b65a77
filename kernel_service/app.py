"""Builds all parts once, serves, drains. Only this file knows all parts and reads the settings."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kernel_service.api.admin_servicer import AdminServicer
from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.api.kernel_servicer import KernelServicer
from kernel_service.api.listener import Listener
from kernel_service.api.peers import Peers
from kernel_service.api.tokens import RefusedTokens, Tokens
from kernel_service.clock import SteadyClock
from kernel_service.cluster.freshness import check_fresh
from kernel_service.cluster.key_rotation import KeyRotation
from kernel_service.cluster.membership import Membership
from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.cluster.placement import Placement
from kernel_service.cluster.shared_quota import share_quota
from kernel_service.composio.client import Composio
from kernel_service.connections.accounts import Connections
from kernel_service.connections.attempt_closer import AttemptCloser
from kernel_service.connections.confirmation import CodeConfirmation
from kernel_service.connections.consent import Consent
from kernel_service.connections.links import ConnectLinks
from kernel_service.connections.stray_sessions import StraySessions
from kernel_service.connections.tokens import Nonces
from kernel_service.connections.vendor_events import ComposioEvents
from kernel_service.connections.web.connect_pages import ConnectPages
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.inbox.inbox import Inbox
from kernel_service.inbox.waiters import Waiters
from kernel_service.kernels.evictor import Evictor
from kernel_service.kernels.kernel_map import KernelMap
from kernel_service.media.read_as import MIB
from kernel_service.media.transfers import MediaTransfers
from kernel_service.metrics.cluster import ClusterMetrics
from kernel_service.metrics.endpoint import Metrics
from kernel_service.models.openai_client import OpenAIClient
from kernel_service.models.openai_responses import OpenAIResponses
from kernel_service.models.openai_transcriptions import OpenAITranscriptions
from kernel_service.outbox.invitations import Invitations
from kernel_service.outbox.outbox import Outbox
from kernel_service.people.people import People
from kernel_service.ports.nodes import Node
from kernel_service.ports.progress import Progress
from kernel_service.ports.retention import RetentionPolicy
from kernel_service.ports.weak_ids import WeakIdExpiry
from kernel_service.proxies import check_proxies
from kernel_service.rate_limits.fair_queue import FairQueue
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.sealing.ciphers import MasterKeys
from kernel_service.sweeper import Sweeper
from kernel_service.tools.developer_tools import load_tools
from kernel_service.tools.toolbox import KernelToolbox
from kernel_service.turns.calls.refused_tools import RefusedTools
from kernel_service.turns.counters import TurnCounters
from kernel_service.turns.execution.dependencies import TurnDependencies
from kernel_service.turns.files.transcription import Transcription
from kernel_service.turns.limits import TurnLimits
from kernel_service.turns.runner import TurnRunner
from serving.listening import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.config import Settings
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices
    from kernel_service.storage.store import Store

log = logging.getLogger(__name__)

MAX_PENDING = 200
"""The most messages of a person that may wait for a turn."""


@dataclass(frozen=True, slots=True)
class KernelServer:
    """A running service and the port it listens on."""

    port: int
    kernels: KernelMap
    store: Store
    sweeper: Sweeper
    transfers: MediaTransfers
    attempt_closer: AttemptCloser


class VendorQueues(NamedTuple):
    """The queue for each vendor."""

    model: FairQueue
    tools: FairQueue


@asynccontextmanager
async def serve(
    settings: Settings, *, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
) -> AsyncIterator[KernelServer]:
    """Runs all parts, from the store to the port. The exit drains them. If a part fails, earlier ones are closed."""
    check_proxies(os.environ)
    _warn_of_exposure(settings)
    async with AsyncExitStack() as stack:
        store = await _store(settings, stack)
        membership = await _join(store, stack)
        shared_wall = membership.database_time if store.engine.is_shared else wall
        clock = SteadyClock(shared_wall, monotonic, newest=await store.newest_time())
        notices = NoticeBoard(store.engine.notices, clock)
        outbox = Outbox(store.outbox, membership, notices, clock)
        waiters, progress = Waiters(notices, membership), Progress()
        membership.channels = outbox.channels
        queues = _queues(settings, membership, notices)
        before_effect = partial(check_fresh, membership)
        composio = _composio(settings, queues.tools, clock, before_effect)
        stack.push_async_callback(composio.close)
        connections = Connections(composio, store.connections, store.sessions, settings.toolkits())
        connect = await _connect(settings, composio, connections, store, outbox, clock)
        openai = _openai(settings, stack, queues.model)
        counters = TurnCounters()
        turns = TurnDependencies(
            store=store,
            model=OpenAIResponses(openai, settings.openai_model, effort=settings.openai_reasoning_effort),
            transcription=Transcription(_transcripts(settings, openai), clock),
            toolbox=KernelToolbox(composio, connections, connect.connect_links, load_tools(settings.kernel_tools)),
            refused_tools=RefusedTools(clock, counters.refused_tools),
            codes=connect.confirmation,
            limits=_limits(settings),
            instructions=settings.instructions(),
            clock=clock,
            ended=waiters.turn_ended,
            delivery=outbox,
            progress=progress,
            typing=outbox.typing,
            before_effect=before_effect,
            asks_first=settings.approval_policy(),
            counters=counters,
        )
        turns = await _traced(turns, settings, store, membership.me, stack)
        runner = TurnRunner(turns, debounce=settings.kernel_debounce_seconds)
        placement = Placement(membership, notices)
        kernels = KernelMap(
            store.kernels,
            store.context,
            runner,
            placement,
            max_turns=settings.kernel_max_turns,
            clock=clock,
            defer_seconds=settings.kernel_sweep_seconds,
        )
        people = People(store.people, store.merging, kernels, placement, notices, clock)
        transfers = MediaTransfers(
            store.media,
            store.files,
            store.made_files,
            clock,
            placement.wake,
            uploads=settings.kernel_channel_uploads,
        )
        inbox = Inbox(
            store.inbox,
            store.chats,
            kernels,
            placement,
            waiters,
            progress,
            allowed=settings.allowed(),
            debounce=settings.kernel_debounce_seconds,
            max_pending=MAX_PENDING,
            clock=clock,
            media_wanted=outbox.wanted,
            typing=outbox.typing,
        )
        peers = Peers(membership, settings.kernel_admin_token.get_secret_value(), settings.peer_tls())
        room = ChannelAdmission(ChannelLimits(settings.kernel_channel_pulls, settings.kernel_channel_calls))
        refused_tokens = RefusedTokens(monotonic)
        listener = Listener(
            Address.parse(settings.kernel_listen),
            Tokens(settings.tokens(), settings.kernel_admin_token.get_secret_value()),
            KernelServicer(
                inbox,
                outbox,
                Invitations(store.invitations, clock),
                transfers,
                store.people,
                people,
                connections,
                connect.connect_links,
                room,
                membership,
                turns.traces,
                clock,
            ),
            AdminServicer(
                kernels,
                placement,
                store,
                people,
                connections,
                KeyRotation(store.keys, notices),
                membership,
                peers,
                clock,
            ),
            room,
            refused_tokens,
            settings.kernel_upload_idle_seconds,
            settings.tls(),
        )

        membership.on_silence(lambda is_silent: listener.health.tell(serves=not is_silent))

        async def drain() -> None:
            inbox.close()
            outbox.close()
            await membership.drain()
            await kernels.drain(settings.kernel_drain_seconds)
            waiters.close()

        port = await stack.enter_async_context(listener.serving(drain))
        await _announce(settings, membership, port, is_shared=store.engine.is_shared)
        sweeper = _sweeper(
            settings,
            store,
            membership,
            kernels,
            outbox,
            transfers,
            attempt_closer=connect.attempt_closer,
            callers=inbox,
            clock=clock,
        )
        metrics_port = await stack.enter_async_context(
            Metrics(
                Address.parse(settings.kernel_metrics_listen),
                kernels,
                people,
                store.ping,
                turns=counters,
                connects=connect.attempt_closer.outcomes,
                queues=queues,
                outages=openai.outages,
                refused_tokens=refused_tokens.counts,
                refused_calls=room.refused,
                cluster=ClusterMetrics(membership, notices, kernels.moves),
            ).serving()
        )
        membership.on_change(sweeper.look_now)
        notices.on_missed(sweeper.look_now)
        await stack.enter_async_context(sweeper.running())
        connect_port = await stack.enter_async_context(connect.pages.serving(Address.parse(settings.connect_listen)))
        notices.begin(membership.me)
        log.info("serving port=%d metrics_port=%d connect_port=%d", port, metrics_port, connect_port)
        yield KernelServer(port, kernels, store, sweeper, transfers, connect.attempt_closer)


def _warn_of_exposure(settings: Settings) -> None:
    if settings.kernel_allow_insecure:
        log.warning("KERNEL_ALLOW_INSECURE is true: settings that are unsafe off this machine are not refused")
    if settings.is_unlimited():
        log.warning(
            "everybody may write, and nothing bounds what it costs: set KERNEL_ALLOWED_USERS, or a budget of "
            "KERNEL_DAILY_TOKENS or KERNEL_DAILY_TOKENS_PER_USER"
        )


async def _store(settings: Settings, stack: AsyncExitStack) -> Store:
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
    )
    stack.push_async_callback(store.close)
    return store


async def _join(store: Store, stack: AsyncExitStack) -> Membership:
    # A restarted process has a new id, so that it does not mistake its predecessor's leases for its own.
    node = Node(f"k_{secrets.token_hex(8)}", "", SCHEMA_NUMBER)
    membership = Membership(store.nodes, node, alone=not store.engine.is_shared, end_process=store.engine.end_process)
    await membership.join()
    stack.push_async_callback(membership.leave)
    await stack.enter_async_context(membership.beating())
    return membership


async def _announce(settings: Settings, membership: Membership, port: int, *, is_shared: bool) -> None:
    address = settings.advertised(port)
    if is_shared and address.is_loopback and not Address.parse(settings.kernel_listen).is_loopback:
        log.warning(
            "KERNEL_ADVERTISE is not set, and this machine's hostname leads to itself: gateways and kernel services on "
            "other machines cannot reach this one at %s",
            address,
        )
    await membership.announce(str(address))


def _queues(settings: Settings, cluster: Cluster, notices: Notices) -> VendorQueues:
    loop = asyncio.get_running_loop()
    queues = VendorQueues(
        FairQueue(
            "model",
            settings.kernel_model_per_minute,
            settings.kernel_model_per_minute_per_user,
            loop,
            tokens=settings.kernel_model_tokens_per_minute,
        ),
        FairQueue("tools", settings.kernel_composio_per_minute, settings.kernel_composio_per_minute_per_user, loop),
    )
    share_quota(queues, cluster, notices)
    return queues


def _composio(
    settings: Settings, queue: FairQueue, clock: Callable[[], float], before_effect: Callable[[], None]
) -> Composio:
    key = settings.composio_api_key.get_secret_value()
    return Composio(key, settings.composio_base_url, queue=queue, clock=clock, before_effect=before_effect)


def _openai(settings: Settings, stack: AsyncExitStack, queue: FairQueue) -> OpenAIClient:
    client = OpenAIClient(settings.openai_api_key.get_secret_value(), settings.openai_base_url, queue=queue)
    stack.push_async_callback(client.close)
    return client


def _transcripts(settings: Settings, openai: OpenAIClient) -> OpenAITranscriptions:
    return OpenAITranscriptions(
        openai, settings.openai_transcribe_model, tokens_per_second=settings.kernel_tokens_per_audio_second
    )


async def _traced(
    turns: TurnDependencies, settings: Settings, store: Store, me: str, stack: AsyncExitStack
) -> TurnDependencies:
    """The same, with traces if they are on. OpenTelemetry is imported here only."""
    if not settings.otel_exporter_otlp_endpoint:
        return turns
    from kernel_service.tracing.message_traces import MessageTraces  # noqa: PLC0415
    from kernel_service.tracing.vendors import traced_model, traced_toolbox  # noqa: PLC0415
    from serving.traces import Spans  # noqa: PLC0415

    spans = Spans("kernel_service", me, settings.otel_exporter_otlp_endpoint)
    stack.push_async_callback(asyncio.to_thread, spans.close)
    secret = await store.keys.secret_for("traces")
    return replace(
        turns,
        model=traced_model(turns.model, spans),
        toolbox=traced_toolbox(turns.toolbox, spans),
        traces=MessageTraces(spans, secret, settings.otel_traces_sampler_arg),
    )


@dataclass(frozen=True, slots=True)
class ConnectParts:
    """The parts of connecting an account."""

    connect_links: ConnectLinks
    confirmation: CodeConfirmation
    attempt_closer: AttemptCloser
    pages: ConnectPages


async def _connect(  # noqa: PLR0917 - its dependencies
    settings: Settings,
    composio: Composio,
    connections: Connections,
    store: Store,
    outbox: Outbox,
    clock: Callable[[], float],
) -> ConnectParts:
    url, nonces = settings.connect_url(), Nonces(await store.keys.secret_for("connect links"))
    if not settings.connect_public_url:
        log.warning("CONNECT_PUBLIC_URL is not set: links to connect accounts open on this machine alone, at %s", url)
    if not settings.composio_verifier:
        log.info("COMPOSIO_VERIFIER is not set: accounts are connected only while Composio's project has no verifier")
    attempt_closer = AttemptCloser(store.connect_attempts, store.connections, connections, outbox.ready, clock)
    return ConnectParts(
        connect_links=ConnectLinks(
            composio, connections, store.connect_attempts, attempt_closer, connect_url=url, nonces=nonces, clock=clock
        ),
        confirmation=CodeConfirmation(
            composio, connections, store.connect_attempts, store.people, attempt_closer, clock
        ),
        attempt_closer=attempt_closer,
        pages=ConnectPages(
            Consent(
                composio,
                connections,
                store.connect_attempts,
                StraySessions(store.stray_sessions, clock),
                attempt_closer,
                connect_url=url,
                nonces=nonces,
                clock=clock,
                verifier=settings.composio_verifier,
            ),
            ComposioEvents(
                settings.composio_webhook_secret.get_secret_value(),
                connections,
                store.inbox.last_route,
                outbox.ready,
                clock,
            ),
            store.chats,
            store.people,
            url,
            TrustedProxies(settings.connect_trusted_proxies),
        ),
    )


def _limits(settings: Settings) -> TurnLimits:
    return TurnLimits(
        output_tokens=settings.openai_max_output_tokens,
        daily_tokens=settings.kernel_daily_tokens,
        daily_tokens_per_person=settings.kernel_daily_tokens_per_user,
        daily_replies_per_person=settings.kernel_daily_replies_per_user,
        tokens_per_audio_second=settings.kernel_tokens_per_audio_second,
    )


def _sweeper(  # noqa: PLR0917 - the parts that it sweeps
    settings: Settings,
    store: Store,
    cluster: Cluster,
    kernels: KernelMap,
    outbox: Outbox,
    transfers: MediaTransfers,
    *,
    attempt_closer: AttemptCloser,
    callers: Inbox,
    clock: Callable[[], float],
) -> Sweeper:
    evictor = Evictor(
        kernels,
        idle_seconds=settings.kernel_idle_seconds,
        memory_bytes=int(settings.kernel_memory_mb * 1024 * 1024),
        clock=clock,
    )
    return Sweeper(
        store.inbox,
        store.retention,
        store.keys,
        cluster,
        kernels,
        outbox,
        transfers,
        evictor,
        connect=attempt_closer,
        callers=callers,
        seconds=settings.kernel_sweep_seconds,
        clock=clock,
    )
