"""Parts that are files: fetched from the kernel service, uploaded to WhatsApp, and sent by the id that this gives."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

from whatsapp_gateway.graph.api import SEND_SECONDS, Ambiguous, GraphApi, Refused, Sent, Uploaded
from whatsapp_gateway.graph.errors import Remedy
from whatsapp_gateway.kernel.client import KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.deliveries import File
from whatsapp_gateway.outbound.rendering import Body, in_words

AT_ONCE: Final = 2
"""Each file is whole in memory while it passes: 16 MiB at most."""
_OF_THE_FILE: Final = frozenset({Remedy.UPLOAD_AGAIN, Remedy.GIVE_UP})


class FileSending:
    """Nothing is kept: a part that is tried again is uploaded again."""

    def __init__(self, graph: GraphApi, kernel: KernelClient, metrics: Metrics) -> None:
        self._graph = graph
        self._kernel = kernel
        self._metrics = metrics
        self._room = asyncio.Semaphore(AT_ONCE)

    async def send(self, number: str, body: Body, file: File, left: Callable[[], float]) -> Sent | Refused | Ambiguous:
        """Send a message that bears a file, while there are seconds left; in words if WhatsApp does not take it."""
        for _ in range(2):
            uploaded = await self._upload(number, file, left() - SEND_SECONDS)
            if isinstance(uploaded, Uploaded):
                result = await self._send(number, _bearing(body, uploaded.media_id), left())
                if not (isinstance(result, Refused) and result.remedy is Remedy.UPLOAD_AGAIN):
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
            async with asyncio.timeout(seconds), self._room:
                uploaded = await self._pass_on(number, file, seconds)
        except TimeoutError:
            uploaded = Refused("upload_late", Remedy.RETRY)
        self._metrics.media.labels("uploaded" if isinstance(uploaded, Uploaded) else "not_uploaded").inc()
        return uploaded

    async def _pass_on(self, number: str, file: File, seconds: float) -> Uploaded | Refused:
        try:
            data = await self._kernel.download(file.ref, seconds)
        except KernelCallError as refusal:
            self._metrics.refusals.labels(refusal.reason).inc()
            return Refused(refusal.reason.lower(), Remedy.GIVE_UP if refusal.final else Remedy.RETRY)
        if file.sha256 and hashlib.sha256(data).digest() != file.sha256:
            return Refused("damaged", Remedy.RETRY)
        return await self._graph.upload(number, file, data, seconds)


def _bearing(body: Body, media_id: str) -> Body:
    kind = body["type"]
    return body | {kind: body[kind] | {"id": media_id}}
