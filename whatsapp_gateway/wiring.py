"""Builds the parts of the gateway from its settings, each once."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable

import aiohttp
from yarl import URL

from kernel_client.ack_queue import AckQueue
from kernel_client.address import KernelAddress
from kernel_client.connection import KernelConnection
from kernel_client.gathering import GATHER_SECONDS
from kernel_client.outbox_pullers import OutboxPullers
from whatsapp_gateway.config import Settings
from whatsapp_gateway.graph.api import GraphApi
from whatsapp_gateway.graph.media import GraphMedia
from whatsapp_gateway.graph.media_hosts import PublicResolver
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.proxies import Proxies
from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.inbound.webhook import Webhook
from whatsapp_gateway.kernel.attach import attach_request
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.outbound.deliveries import Deliveries
from whatsapp_gateway.outbound.file_sender import FileSender
from whatsapp_gateway.outbound.media_fetcher import MediaFetcher
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.reply_sender import ReplySender
from whatsapp_gateway.outbound.template_sender import TemplateSender
from whatsapp_gateway.outbound.templates import WindowTemplates
from whatsapp_gateway.outbound.typing_indicator import TypingIndicator
from whatsapp_gateway.traces import traces


class Gateway:
    """All parts; `start` and `close` are those of what works in the background. Create it inside the running loop."""

    def __init__(self, settings: Settings, *, accept_seconds: float, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self.metrics = Metrics()
        self._instance_id = f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._traces, self._spans = traces(settings.otel_exporter_otlp_endpoint, self._instance_id)
        self._build_kernel()
        self._build_graph()
        self._typing = TypingIndicator(self._graph, self.metrics)
        self._part_backoff = PartBackoff()
        self._templates = self._window_templates()
        self.webhook = self._webhook(accept_seconds)
        self._replies = self._pullers()

    def start(self) -> None:
        """Begin to pull replies."""
        self._replies.start()

    async def close(self) -> None:
        """Finish open work, and end every connection."""
        await self._replies.stop()
        await self._typing.close()
        await self._templates.close()
        await self._session.close()
        await self.kernel.close()
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)

    def _build_kernel(self) -> None:
        settings = self._settings
        address = KernelAddress(settings.kernel_address, settings.kernel_tls_ca, settings.kernel_allow_insecure)
        self.kernel = KernelConnection(address, settings.kernel_token.get_secret_value())
        self._calls = KernelCalls(self.kernel, self._now, settings.whatsapp_chat_url, self._traces)
        self.metrics.show(
            "kernel_streams", "Open streams to nodes of the kernel service", lambda: self.kernel.open_streams
        )

    def _build_graph(self) -> None:
        settings = self._settings
        proxies = Proxies(os.environ)
        connector = aiohttp.TCPConnector(limit=0, resolver=PublicResolver(settings.whatsapp_api_base_url))
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._pacing = Pacing(settings.whatsapp_messages_per_second)
        self._circuit_breaker = NumberCircuitBreaker(self.metrics, self._now)
        token = settings.whatsapp_access_token.get_secret_value()
        where = (self._session, settings.whatsapp_api_base_url, settings.whatsapp_api_version, token)
        self._graph = GraphApi(*where, pacing=self._pacing, circuit_breaker=self._circuit_breaker, proxies=proxies)
        self._graph_media = GraphMedia(*where, proxies)
        proxies.log_proxy_of(URL(settings.whatsapp_api_base_url))

    def _window_templates(self) -> WindowTemplates:
        templates = self._settings.templates
        sender = TemplateSender(self._graph, self.metrics, templates, self._now) if templates else None
        return WindowTemplates(self._calls, self.metrics, sender, self._instance_id, self._now)

    def _webhook(self, accept_seconds: float) -> Webhook:
        intake = Intake(
            self._calls,
            self._pacing,
            self._templates,
            self.metrics,
            circuit_breaker=self._circuit_breaker,
            part_backoff=self._part_backoff,
            seconds=accept_seconds,
        )
        return Webhook(
            intake,
            self.metrics,
            numbers=frozenset(self._settings.whatsapp_phone_number_id),
            app_secrets=[secret.get_secret_value() for secret in self._settings.whatsapp_app_secret],
            verify_token=self._settings.whatsapp_verify_token.get_secret_value(),
        )

    def _pullers(self) -> OutboxPullers:
        acks = AckQueue(self.kernel, self.metrics, self._now, GATHER_SECONDS)
        sending = ReplySender(
            self._graph,
            FileSender(self._graph, self._calls, self.metrics),
            acks,
            self.metrics,
            now=self._now,
            part_backoff=self._part_backoff,
            templates=self._templates,
            traces=self._traces,
        )
        media = MediaFetcher(self._graph_media, self._calls, self.metrics)
        deliveries = Deliveries(sending, acks, self._typing, media)
        attach = attach_request(self._settings.whatsapp_phone_number_id, self._instance_id)
        return OutboxPullers(self.kernel, deliveries, acks, self.metrics, attach=attach, now=self._now)
