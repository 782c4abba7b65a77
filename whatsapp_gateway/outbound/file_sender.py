"""Sends parts that are files: downloaded from the kernel service, uploaded to WhatsApp, and sent by the media id."""

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache
from typing import Final

from kernel_client.errors import KernelError
from whatsapp_gateway.graph.api import SEND_SECONDS, Ambiguous, GraphApi, Refused, Sent, Uploaded
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import File
from whatsapp_gateway.outbound.rendering import Body, in_words

AT_ONCE: Final = 4
"""Each file is completely in memory meanwhile: 16 MiB at most."""
OF_A_NUMBER: Final = 2
"""Uploads of one number that stall leave room for the others."""
_OF_THE_FILE: Final = frozenset({Remedy.REUPLOAD, Remedy.GIVE_UP})


class FileSender:
    """Stateless: a part that is retried is uploaded again."""

    def __init__(self, graph: GraphApi, kernel: KernelCalls, metrics: Metrics) -> None:
        self._graph = graph
        self._kernel = kernel
        self._metrics = metrics
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._slots_of = cache(lambda _: asyncio.Semaphore(OF_A_NUMBER))

    async def send(self, number: str, body: Body, file: File, left: Callable[[], float]) -> Sent | Refused | Ambiguous:
        """Send a message with a file while left() seconds remain; as text if WhatsApp does not accept the file."""
        for _ in range(2):
            uploaded = await self._upload(number, file, left() - SEND_SECONDS)
            if isinstance(uploaded, Uploaded):
                result = await self._send(number, _with_media_id(body, uploaded.media_id), left())
                if not (isinstance(result, Refused) and result.remedy is Remedy.REUPLOAD):
                    return result
            elif uploaded.remedy not in _OF_THE_FILE:
                return uploaded
        self._metrics.media.labels("in_words").inc()
        return await self._send(number, in_words(body, file), left())

    async def _send(self, number: str, body: Body, left: float) -> Sent | Refused | Ambiguous:
        if left <= 0:
            return Refused("upload_late", Remedy.RETRY)
        return await self._graph.send(number, body, min(SEND_SECONDS, left))

    async def _upload(self, number: str, file: File, seconds: float) -> Uploaded | Refused:
        try:
            async with asyncio.timeout(seconds), self._slots_of(number), self._slots:
                uploaded = await self._pass_on(number, file, seconds)
        except TimeoutError:
            uploaded = Refused("upload_late", Remedy.RETRY)
        self._metrics.media.labels("uploaded" if isinstance(uploaded, Uploaded) else "not_uploaded").inc()
        return uploaded

    async def _pass_on(self, number: str, file: File, seconds: float) -> Uploaded | Refused:
        try:
            data = await self._kernel.download(file.ref, seconds)
        except KernelError as refusal:
            self._metrics.kernel_errors.labels(refusal.reason).inc()
            return Refused(refusal.reason.lower(), Remedy.RETRY if refusal.retryable else Remedy.GIVE_UP)
        if file.sha256 and hashlib.sha256(data).digest() != file.sha256:
            return Refused("damaged", Remedy.RETRY)
        return await self._graph.upload(number, file, data, seconds)


def _with_media_id(body: Body, media_id: str) -> Body:
    kind = body["type"]
    return body | {kind: body[kind] | {"id": media_id}}
