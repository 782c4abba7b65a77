"""/webhook: the challenge, the signature, and 200 only once everything is durable."""

import asyncio
import hmac
import time
from collections.abc import Collection, Sequence
from typing import Final

from aiohttp import hdrs, web

from whatsapp_gateway.inbound.body import read_json
from whatsapp_gateway.inbound.intake import Intake
from whatsapp_gateway.inbound.outage_log import OutageLog
from whatsapp_gateway.inbound.signature import is_signed
from whatsapp_gateway.inbound.updates import read_updates
from whatsapp_gateway.metrics import Metrics

PATH: Final = "/webhook"
LARGEST_BODY: Final = 4 * 1024 * 1024
"""Bytes; WhatsApp sends up to 3 MB."""
BODY_SECONDS: Final = 10.0
"""The time limit for a body: until it is complete, its signature cannot be checked."""
SMALL_BODY: Final = 64 * 1024
"""Bytes; nearly every webhook is smaller, and is read at once."""
LARGE_AT_ONCE: Final = 16
"""Concurrent reads of larger bodies, which bounds the memory that unauthenticated clients can use."""


class Webhook:
    """Answers WhatsApp. After an answer other than 200, WhatsApp redelivers the webhook for days."""

    def __init__(
        self,
        intake: Intake,
        metrics: Metrics,
        *,
        numbers: Collection[str],
        app_secrets: Sequence[str],
        verify_token: str,
    ) -> None:
        self._intake = intake
        self._metrics = metrics
        self._numbers = numbers
        self._app_secrets = [secret.encode() for secret in app_secrets]
        self._verify_token = verify_token.encode()
        self._outage = OutageLog(time.monotonic)
        self._room_for_large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def verify(self, request: web.Request) -> web.Response:
        """Prove to WhatsApp, on subscribing, that the address is ours: 200 with the challenge, or 403."""
        token = request.query.get("hub.verify_token", "").encode(errors="surrogateescape")
        challenge = request.query.get("hub.challenge")
        ours = hmac.compare_digest(token, self._verify_token)
        if request.query.get("hub.mode") != "subscribe" or challenge is None or not ours:
            return web.Response(status=403)
        return web.Response(text=challenge)

    async def receive(self, request: web.Request) -> web.Response:
        """200: all durable or dropped; 503: redeliver it; 400, 401, 408, 413: not from WhatsApp, or malformed."""
        began = time.monotonic()
        try:
            status = await self._answer(request)
        except web.RequestPayloadError:
            status = 400
        except web.HTTPRequestEntityTooLarge:
            status = 413
        self._metrics.webhook_seconds.labels(str(status)).observe(time.monotonic() - began)
        return web.Response(status=status)

    async def count(self, request: web.Request, response: web.StreamResponse) -> None:
        """Counts by the status of the answer, from aiohttp, a middleware, or this class."""
        if request.method == hdrs.METH_POST and request.path == PATH:
            self._metrics.webhooks.labels(str(response.status)).inc()

    async def _answer(self, request: web.Request) -> int:
        signature = request.headers.get("X-Hub-Signature-256")
        if signature is None:
            return 401
        length = request.content_length
        is_small = length is not None and length <= SMALL_BODY
        if is_small and request.content.is_eof():  # as nearly always: the body came with its head
            return await self._receive(request.content.read_nowait(), signature)
        if (length or 0) > LARGEST_BODY:
            return 413
        try:
            raw = await self._read(request, is_small=is_small)
        except TimeoutError:
            return 408
        return await self._receive(raw, signature)

    async def _read(self, request: web.Request, *, is_small: bool) -> bytes:
        async with asyncio.timeout(BODY_SECONDS):
            if is_small:
                return await request.read()
            async with self._room_for_large:
                return await request.read()

    async def _receive(self, raw: bytes, signature: str) -> int:
        if not is_signed(raw, signature, self._app_secrets):
            return 401
        try:
            body = read_json(raw)
        except ValueError:
            return 400
        if not await self._intake.take(read_updates(body, self._numbers)):
            self._outage.failed()
            return 503
        if self._outage.failures:
            self._outage.passed()
        return 200
