"""The one client of OpenAI in a process. It sends and returns bytes, and interprets refusals.

Sources: openai 3.54, platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import httpx2

from kernel_service.errors import Busy, VendorUnavailable
from kernel_service.models.flaws import BAD_EVENT, EVENT_STREAM, TOO_LARGE
from kernel_service.models.openai_refusals import Refusal, meaning_of, read_failure
from kernel_service.models.openai_transcription_answers import read_transcript, transcription_refusal
from kernel_service.models.openai_transport import (
    CONNECT_SECONDS,
    LOST,
    OpenAITransport,
    StatusError,
    TooLargeError,
    as_httpx,
    never_sent,
    whole,
)
from kernel_service.models.outages import Outages
from kernel_service.models.package import openai
from kernel_service.ports.messages import Usage
from kernel_service.ports.model import SPEECH_FAILED, ModelRejectedError, UnusableAnswerError
from kernel_service.rate_limits.wait_histogram import Latencies
from kernel_service.storable import from_json
from kernel_service.vendor_tls import vendor_tls
from serving.retry_after import retry_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from kernel_service.models.body import Body
    from kernel_service.models.openai_stream import StreamedAnswer
    from kernel_service.models.openai_transcription_answers import VendorTranscript
    from kernel_service.rate_limits.fair_queue import FairQueue

T = TypeVar("T")

log = logging.getLogger(__name__)

_GAVE_UP_WAITING: Final = (408, 499, 504, 522, 524)
"""Statuses of a proxy, or of the vendor's own front end. The request may have been processed behind it."""
_OF_THE_TEXT: Final = (400, 413, 422)
_NOT_IMPLEMENTED: Final = 501
_FIRST_SERVER_ERROR: Final = 500
_NO_SPEECH: Final = "speech_unavailable"
_NO_SUCH_PATH: Final = (404, 405, 501)
_FORM: Final = {"Content-Type": "multipart/form-data"}
"""Tells the vendor's client to send a form and not JSON. It adds the boundary."""
REST_SECONDS: Final = 1.0
"""Seconds for the rest after the last event of a stream: a connection can be used again once it was read to the end."""


class OpenAIClient:
    """One for the whole process. `timeout` bounds a request as a whole, in seconds from when the queue admits it.

    The caller of post() records in the queue what the request cost.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        queue: FairQueue,
        timeout: float = 120.0,
        latencies: Latencies | None = None,
    ) -> None:
        """`latencies`: of requests by kind (answer, transcription, speech) and outcome, from their admission on."""
        self._timeout = timeout
        self.queue = queue
        self.outages = Outages()
        self.flaws: Counter[str] = Counter()
        """Of answers that could not be used, by what was wrong with them (see flaws.py)."""
        self.latencies = latencies or Latencies()
        tls = vendor_tls()
        # No retries here: the turn waits in the database, and other people need the slot meanwhile.
        self._openai = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=httpx2.Timeout(timeout, connect=CONNECT_SECONDS),
            http_client=openai.DefaultAioHttpClient(verify=tls, follow_redirects=False),
        )
        self._transport = OpenAITransport(base_url, _headers(self._openai), tls)
        # Both would log addresses and, on DEBUG, what people say.
        for name in ("openai", "httpx2"):
            logging.getLogger(name).setLevel(logging.WARNING)

    async def post(self, path: str, body: Body) -> bytes:
        """Send JSON, and return the JSON of the answer.

        VendorUnavailable, ModelRejectedError, UnusableAnswerError, and the errors of reading the body's files.
        """
        return await self._asked(path, body, whole)

    async def stream(self, path: str, body: Body, streamed: StreamedAnswer) -> bytes | None:
        """Send JSON, and pass events to `streamed` until it is whole. Bytes: the server answered in one piece.

        As post(), and UnusableAnswerError: an event is no JSON.
        """

        async def read(response: aiohttp.ClientResponse) -> bytes | None:
            if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                return await whole(response)
            async with _Events(cast_to=object, response=as_httpx(response), client=self._openai) as events:
                await _hand_over(events, streamed)
            return None

        return await self._asked(path, body, read)

    async def replay(self, raw: bytes, streamed: StreamedAnswer) -> None:
        """Pass the events of a body in one piece to `streamed`. UnusableAnswerError: they end too early."""
        response = httpx2.Response(HTTPStatus.OK, content=raw)
        try:
            async with _Events(cast_to=object, response=response, client=self._openai) as events:
                await _hand_over(events, streamed)
        except aiohttp.ClientError:
            raise UnusableAnswerError(Usage(model_calls=1), EVENT_STREAM) from None

    async def _asked(self, path: str, body: Body, read: Callable[[aiohttp.ClientResponse], Awaitable[T]]) -> T:
        """The result of reading a model's response, once the queue admits the request; all within the timeout."""
        await self.queue.acquire()
        with self.latencies.timed("answer", "answered", _outcome_of):
            try:
                async with asyncio.timeout(self._timeout), await self._transport.post(path, body) as response:
                    answer = await read(response)
            except LOST as lost:
                self.outages.met("model_unavailable")
                away = VendorUnavailable("model_unavailable", unanswered=not never_sent(lost))
                raise body.fault or away from None
            except StatusError as refused:
                raise self._meaning_of(refused) from None
            except TooLargeError:
                raise UnusableAnswerError(Usage(model_calls=1), TOO_LARGE) from None
        return answer

    def _meaning_of(self, refused: StatusError) -> VendorUnavailable | ModelRejectedError | UnusableAnswerError:
        seconds = retry_after(refused.headers)
        refusal = Refusal.read(refused.status, _json_or_text(refused.body))
        means = meaning_of(refusal, seconds)
        if isinstance(means, ModelRejectedError):
            log.warning("model refused the request status=%d code=%s param=%s", refusal.status, means.code, means.param)
            return means
        if isinstance(means, UnusableAnswerError):
            return means
        means.unanswered = refused.status in _GAVE_UP_WAITING
        self.outages.met("model_path_missing" if _is_path_missing(refusal, means) else means.problem)
        if means.problem == "model_busy" and seconds is not None:
            return self.queue.rejected(seconds)
        return means

    async def transcribe(self, model: str, recording: tuple[str, bytes, str]) -> VendorTranscript:
        """The words of a recording (name, bytes, type).

        VendorUnavailable, ModelRejectedError, TranscriptionMissingError.
        """
        await self.queue.acquire()
        with self.latencies.timed("transcription", "answered", _outcome_of):
            try:
                async with asyncio.timeout(self._timeout):
                    raw = await self._openai.post(
                        "/audio/transcriptions",
                        cast_to=httpx2.Response,
                        body={"model": model, "response_format": "json"},
                        files={"file": recording},
                        options={"headers": _FORM},
                    )
                self.outages.over()
            except (openai.APIConnectionError, TimeoutError) as lost:
                self.outages.met("model_unavailable")
                unanswered = not any(map(never_sent, _causes(lost)))
                raise VendorUnavailable("model_unavailable", unanswered=unanswered) from None
            except openai.APIStatusError as error:
                raise _of_transcription(error) from None
        transcript = read_transcript(raw.content)
        self.queue.record_cost(transcript.usage.tokens)
        return transcript

    async def speak(self, body: Body) -> bytes:
        """The text as sound. VendorUnavailable, ModelRejectedError, UnusableAnswerError: it is too large.

        None of them says anything about the model that answers people.
        """
        await self.queue.acquire()
        with self.latencies.timed("speech", "answered", _outcome_of):
            try:
                async with (
                    asyncio.timeout(self._timeout),
                    await self._transport.post("/audio/speech", body) as response,
                ):
                    return await whole(response)
            except LOST as lost:
                unsent = never_sent(lost)
                raise VendorUnavailable(_NO_SPEECH if unsent else SPEECH_FAILED, unanswered=not unsent) from None
            except StatusError as refused:
                raise _of_speech(refused) from None
            except TooLargeError:
                raise UnusableAnswerError(Usage(model_calls=1), TOO_LARGE) from None

    async def close(self) -> None:
        await self._transport.close()
        await self._openai.close()


def _outcome_of(error: Exception) -> str:
    if isinstance(error, VendorUnavailable):
        return "busy" if isinstance(error, Busy) or error.problem == "model_busy" else "unavailable"
    return "refused" if isinstance(error, ModelRejectedError) else "failed"


def _is_path_missing(refusal: Refusal, means: VendorUnavailable) -> bool:
    """Servers that have only the other endpoint answer so. So do proxies while a server restarts, so the turn waits."""
    return refusal.status in _NO_SUCH_PATH and means.problem == "model_unavailable"


def _headers(client: openai.AsyncOpenAI) -> dict[str, str]:
    """The headers of the vendor's client without its telemetry: key, organisation, project, OPENAI_CUSTOM_HEADERS."""
    every = {**client.auth_headers, **client.default_headers}
    return {name: value for name, value in every.items() if isinstance(value, str) and "Stainless" not in name}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes: the client wraps its transport's error, which wraps aiohttp's."""
    while error is not None:
        yield error
        error = error.__cause__


def _of_transcription(error: openai.APIStatusError) -> Exception:
    means = transcription_refusal(error.status_code, error.body, retry_after(error.response.headers))
    if isinstance(means, VendorUnavailable):
        means.unanswered = error.status_code in _GAVE_UP_WAITING
    return means


def _of_speech(refused: StatusError) -> VendorUnavailable | ModelRejectedError:
    """A text may be refused, or break the server; any other refusal concerns every text."""
    code = Refusal.read(refused.status, _json_or_text(refused.body)).code or f"http_{refused.status}"
    if refused.status in _OF_THE_TEXT:
        return ModelRejectedError(code)
    fails = refused.status in _GAVE_UP_WAITING or _NOT_IMPLEMENTED != refused.status >= _FIRST_SERVER_ERROR
    return VendorUnavailable(SPEECH_FAILED if fails else _NO_SPEECH, unanswered=refused.status in _GAVE_UP_WAITING)


def _json_or_text(body: bytes) -> object:
    try:
        return from_json(body)
    except ValueError:
        return body.decode(errors="replace").strip()


class _Events(openai.AsyncStream[object]):
    """Shows whether the server has ended the stream, which the vendor's own class does not."""

    is_over = False

    async def _iter_events(self) -> AsyncIterator[openai._streaming.ServerSentEvent]:
        async for event in super()._iter_events():
            self.is_over = self.is_over or event.data.startswith("[DONE]")
            yield event


async def _hand_over(events: _Events, streamed: StreamedAnswer) -> None:
    """Pass on all events. A stream that ends before the answer is whole counts as broken, however it ended."""
    ended = False
    try:
        async with asyncio.timeout(None) as rest:
            async for event in events:
                if streamed.take(event) and not ended:
                    ended = True
                    rest.reschedule(asyncio.get_running_loop().time() + REST_SECONDS)
    except Exception as broken:  # noqa: BLE001 - the response stands, whatever its connection comes to
        if not ended:
            raise _meaning_of_broken(broken) from None
    if not ended and not streamed.is_whole(marked=events.is_over):
        raise aiohttp.ClientPayloadError("the stream ended before its last event")


def _meaning_of_broken(error: Exception) -> Exception:
    if isinstance(error, openai.APIError) and (failure := read_failure({"error": error.body})):
        return meaning_of(failure)
    if isinstance(error, UnicodeDecodeError) and error.reason == "unexpected end of data":
        return aiohttp.ClientPayloadError("the stream ended within a character")
    if isinstance(error, ValueError | RecursionError):
        return UnusableAnswerError(Usage(model_calls=1), BAD_EVENT)
    return error
