"""Builds the gateway once, from its settings, and starts and ends its background tasks."""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from serving.listening import Address, http_served
from serving.public_http import public_app
from whatsapp_gateway.config import Settings
from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.graph.media import GraphMedia
from whatsapp_gateway.graph.media_hosts import PublicResolver
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.proxies import Proxies
from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.inbound.webhook import LARGEST_BODY, PATH, Webhook
from whatsapp_gateway.kernel.channel import KernelAddress
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.ack_queue import AckQueue
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.file_sender import FileSender
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.outbox_pullers import OutboxPullers
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.template_sender import TemplateSender
from whatsapp_gateway.outbound.templates import WindowTemplates
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator
from whatsapp_gateway.traces import traces

logger = logging.getLogger(__name__)

ACCEPT_SECONDS = 8.0
"""For a whole webhook; WhatsApp waits longer, and then redelivers it."""
READY_SECONDS = 2.0


async def build_app(
    settings: Settings, *, accept_seconds: float = ACCEPT_SECONDS, now: Callable[[], float] = time.monotonic
) -> web.Application:
    """The complete gateway as an aiohttp application; await it in the loop that will run it."""
    metrics, proxies = Metrics(), Proxies(os.environ)
    address = KernelAddress(settings.kernel_address, settings.kernel_tls_ca, settings.kernel_allow_insecure)
    instance_id = _instance_id()
    tracing, spans = traces(settings.otel_exporter_otlp_endpoint, instance_id)
    kernel = KernelClient(address, settings.kernel_token.get_secret_value(), now, settings.whatsapp_chat_url, tracing)
    metrics.show("kernel_streams", "Open streams to nodes of the kernel service", lambda: kernel.open_streams)
    connector = aiohttp.TCPConnector(limit=0, resolver=PublicResolver(settings.whatsapp_api_base_url))
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    pacing = Pacing(settings.whatsapp_messages_per_second)
    circuit_breaker, part_backoff = NumberCircuitBreaker(metrics, now), PartBackoff()
    graph = GraphApi(
        session,
        settings.whatsapp_api_base_url,
        settings.whatsapp_api_version,
        settings.whatsapp_access_token.get_secret_value(),
        pacing=pacing,
        circuit_breaker=circuit_breaker,
        proxies=proxies,
    )
    proxies.log_proxy_of(URL(settings.whatsapp_api_base_url))
    typing = TypingIndicator(graph, metrics)
    sender = TemplateSender(graph, metrics, settings.templates, now) if settings.templates else None
    templates = WindowTemplates(kernel, metrics, sender, instance_id, now)
    numbers = settings.whatsapp_phone_number_id
    webhook = Webhook(
        Intake(
            kernel,
            pacing,
            templates,
            metrics,
            circuit_breaker=circuit_breaker,
            part_backoff=part_backoff,
            seconds=accept_seconds,
        ),
        metrics,
        numbers=frozenset(numbers),
        app_secrets=[secret.get_secret_value() for secret in settings.whatsapp_app_secret],
        verify_token=settings.whatsapp_verify_token.get_secret_value(),
    )
    acks = AckQueue(kernel, metrics, now)
    files = FileSender(graph, kernel, metrics)
    sending = ReplySender(
        graph, files, acks, metrics, now=now, part_backoff=part_backoff, templates=templates, traces=tracing
    )
    graph_media = GraphMedia(
        session,
        settings.whatsapp_api_base_url,
        settings.whatsapp_api_version,
        settings.whatsapp_access_token.get_secret_value(),
        proxies,
    )
    media = MediaFetcher(graph_media, kernel, metrics)
    deliveries = Deliveries(sending, acks, typing, media)
    replies = OutboxPullers(
        kernel, address, deliveries, acks, metrics, numbers=numbers, instance_id=instance_id, now=now
    )

    async def running(_: web.Application) -> AsyncIterator[None]:
        replies.start()
        yield
        await replies.stop()
        await typing.close()
        await templates.close()
        await session.close()
        await kernel.close()
        if spans is not None:
            await asyncio.to_thread(spans.close)

    app = public_app(client_max_size=LARGEST_BODY)
    app.cleanup_ctx.append(running)
    app.on_response_prepare.append(webhook.count)
    app.router.add_get(PATH, webhook.verify)
    app.router.add_post(PATH, webhook.receive)
    _add_probes(app, kernel)
    if settings.gateway_metrics_listen is None:
        _add_metrics(app, metrics)
    else:
        app.cleanup_ctx.append(partial(_metrics_apart, address=settings.gateway_metrics_listen, metrics=metrics))
    return app


def _add_probes(app: web.Application, kernel: KernelClient) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if await kernel.ready(READY_SECONDS):
            return web.Response(text="ok")
        return web.Response(status=503, text="the kernel service is not serving")

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def _add_metrics(app: web.Application, metrics: Metrics) -> None:
    async def metrics_page(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/metrics", metrics_page)


async def _metrics_apart(_: web.Application, *, address: Address, metrics: Metrics) -> AsyncIterator[None]:
    """/metrics on a separate listener, while the gateway runs. Raises `CannotListenError`."""
    app = public_app()
    _add_metrics(app, metrics)
    async with http_served(app, "GATEWAY_METRICS_LISTEN", address) as port:
        logger.info("serving /metrics on %s", address._replace(port=port))
        yield


def _instance_id() -> str:
    return f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
