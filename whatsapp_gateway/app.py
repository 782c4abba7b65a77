"""The gateway as an application: the webhook, the probes and the metrics, beside what works in the background."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kernel_client.connection import KernelConnection
from serving.listening import Address, http_served
from serving.public_http import public_app
from whatsapp_gateway.config import Settings
from whatsapp_gateway.inbound.webhook import LARGEST_BODY, PATH
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.wiring import Gateway

logger = logging.getLogger(__name__)

ACCEPT_SECONDS = 8.0
"""For a whole webhook; WhatsApp waits longer, and then redelivers it."""
READY_SECONDS = 2.0


async def build_app(
    settings: Settings, *, accept_seconds: float = ACCEPT_SECONDS, now: Callable[[], float] = time.monotonic
) -> web.Application:
    """The complete gateway as an aiohttp application; await it in the loop that will run it."""
    gateway = Gateway(settings, accept_seconds=accept_seconds, now=now)
    app = public_app(client_max_size=LARGEST_BODY)
    app.cleanup_ctx.append(partial(_running, gateway=gateway))
    app.on_response_prepare.append(gateway.webhook.count)
    app.router.add_get(PATH, gateway.webhook.verify)
    app.router.add_post(PATH, gateway.webhook.receive)
    _add_probes(app, gateway.kernel)
    if settings.gateway_metrics_listen is None:
        _add_metrics(app, gateway.metrics)
    else:
        app.cleanup_ctx.append(
            partial(_metrics_apart, address=settings.gateway_metrics_listen, metrics=gateway.metrics)
        )
    return app


async def _running(_: web.Application, *, gateway: Gateway) -> AsyncIterator[None]:
    gateway.start()
    yield
    await gateway.close()


def _add_probes(app: web.Application, kernel: KernelConnection) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def readyz(_: web.Request) -> web.Response:
        if (problem := await kernel.problem(READY_SECONDS)) is None:
            return web.Response(text="ok")
        told = f"the kernel service is not serving: {problem.reason}. {problem.what_to_do}"
        return web.Response(status=503, text=told)

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
