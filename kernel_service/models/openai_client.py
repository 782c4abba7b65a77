"""The one client of OpenAI that a process has: bytes out, bytes in, and what a refusal means.

Sources: openai 3.54, platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx2
import openai

from kernel_service.errors import VendorUnavailable
from kernel_service.models.openai_refusals import Refusal, meaning_of, read_failure, retry_after
from kernel_service.models.openai_transcription_answers import read_transcript, transcription_refusal
from kernel_service.models.outages import Outages
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import ModelRejectedError, UnusableAnswerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from kernel_service.models.body import Body
    from kernel_service.models.openai_transcription_answers import VendorTranscript
    from kernel_service.rate_limits.fair_queue import FairQueue

log = logging.getLogger(__name__)

_GAVE_UP_WAITING: Final = (408, 499, 504, 522, 524)
"""Statuses of a proxy, or of the vendor's own front, behind which the request may have been worked on."""
REST_SECONDS: Final = 1.0
"""For what follows the last event of a stream; a connection is of use again once its response was read to the end."""


class OpenAIClient:
    """One for the whole process. `timeout` bounds a request as a whole, in seconds from when the queue admits it.

    The caller of post() records in the queue what the request cost.
    """

    def __init__(self, api_key: str, base_url: str, *, queue: FairQueue, timeout: float = 120.0) -> None:
        self._timeout = timeout
        self.queue = queue
        self.outages = Outages()
        # No retries here: the turn holds durably, and other people need the slot meanwhile.
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout, connect=10.0),
            http_client=openai.DefaultAioHttpClient(),
        )
        # Both would log addresses and, on DEBUG, what people say.
        for name in ("openai", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    async def post(self, path: str, body: Body) -> bytes:
        """JSON out, bytes in: the client would otherwise walk the whole history on the event loop.

        VendorUnavailable, ModelRejectedError, and whatever keeps the body's files from being read.
        """
        try:
            async with self._allowed(self._refusal):
                response = await self._client.post(
                    path, content=body.content, cast_to=httpx2.Response, options={"headers": _headers(body)}
                )
                return await response.aread()
        except VendorUnavailable as away:
            raise body.fault or away from None

    async def stream(self, path: str, body: Body, take: Callable[[object], bool]) -> bytes | None:
        """JSON out, events to `take` as they come, until it returns True. Bytes: the server answered in one piece.

        As post(), and UnusableAnswerError: an event is no JSON.
        """
        try:
            async with self._allowed(self._refusal):
                stream = await self._client.post(
                    path,
                    content=body.content,
                    cast_to=object,
                    options={"headers": _headers(body)},
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
                async with stream:
                    if not stream.response.headers.get("content-type", "").startswith("text/event-stream"):
                        return await stream.response.aread()
                    await _hand_over(stream, take)
                    return None
        except VendorUnavailable as away:
            raise body.fault or away from None

    async def transcribe(self, model: str, recording: tuple[str, bytes, str]) -> VendorTranscript:
        """A recording (name, bytes, type) in words.

        VendorUnavailable, ModelRejectedError, TranscriptionMissingError.
        """
        transcriptions = self._client.audio.transcriptions.with_raw_response
        async with self._allowed(_transcription_refusal):
            raw = await transcriptions.create(file=recording, model=model, response_format="json")
        transcript = read_transcript(raw.content)
        self.queue.record_cost(transcript.usage.tokens)
        return transcript

    @asynccontextmanager
    async def _allowed(self, refusal: Callable[[openai.APIStatusError], Exception]) -> AsyncIterator[None]:
        """One request, once the queue admits it and within the timeout. Raises Busy, or the failure that it met."""
        await self.queue.acquire()
        try:
            async with asyncio.timeout(self._timeout):
                yield
            self.outages.over()
        except (openai.APIConnectionError, httpx2.TransportError, TimeoutError, json.JSONDecodeError) as lost:
            self.outages.met("model_unavailable")
            raise VendorUnavailable("model_unavailable", unanswered=not _never_sent(lost)) from None
        except openai.APIStatusError as error:
            means = refusal(error)
            if isinstance(means, VendorUnavailable):
                means.unanswered = error.status_code in _GAVE_UP_WAITING
            raise means from None

    def _refusal(self, error: openai.APIStatusError) -> VendorUnavailable | ModelRejectedError:
        seconds = retry_after(error.response.headers)
        refusal = Refusal.read(error.status_code, error.body)
        means = meaning_of(refusal, seconds)
        if isinstance(means, ModelRejectedError):
            log.warning("model refused the request status=%d code=%s param=%s", refusal.status, means.code, means.param)
            return means
        self.outages.met(means.problem)
        if means.problem == "model_busy" and seconds is not None:
            return self.queue.rejected(seconds)
        return means

    async def close(self) -> None:
        await self._client.close()


def _headers(body: Body) -> dict[str, str]:
    return {"Content-Type": "application/json", "Content-Length": str(body.length)}


async def _hand_over(stream: openai.AsyncStream[object], take: Callable[[object], bool]) -> None:
    """All events; a stream that ends before the last one broke, however it ended."""
    ended = False
    try:
        async with asyncio.timeout(None) as rest:
            async for event in stream:
                if not ended and take(event):
                    ended = True
                    rest.reschedule(asyncio.get_running_loop().time() + REST_SECONDS)
    except Exception as broken:  # noqa: BLE001 - the response stands, whatever its connection comes to
        if not ended:
            raise _meaning_of_broken(broken) from None
    if not ended:
        raise httpx2.RemoteProtocolError("the stream ended before its last event")


def _meaning_of_broken(error: Exception) -> Exception:
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | TimeoutError):
        return error
    if isinstance(error, openai.APIError) and (failure := read_failure({"error": error.body})):
        return meaning_of(failure)
    if isinstance(error, ValueError | RecursionError):
        return UnusableAnswerError(Usage(model_calls=1))
    return error


def _never_sent(error: BaseException) -> bool:
    """Whether there was no connection to send it by."""
    cause = error.__cause__ or error
    return isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)


def _transcription_refusal(error: openai.APIStatusError) -> Exception:
    return transcription_refusal(error.status_code, error.body, retry_after(error.response.headers))
