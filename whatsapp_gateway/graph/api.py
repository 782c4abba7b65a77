"""The client of the Graph API: messages, uploads and typing. Only this package uses its wire format."""

import io
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
from multidict import CIMultiDict
from yarl import URL

from serving.retry_after import retry_after
from whatsapp_gateway.graph.answers import read_json
from whatsapp_gateway.graph.errors import RATE_LIMIT_CODES, Remedy, remedy_for
from whatsapp_gateway.graph.file_kinds import shown_name, upload_type
from whatsapp_gateway.graph.number_circuit_breaker import SILENT_SECONDS, NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.proxies import DIRECT, Proxies
from whatsapp_gateway.graph.unanswered_sends import UnansweredSends
from whatsapp_gateway.model.outbox import File

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
SEND_SECONDS: Final = 15
_GATEWAY_FAULTS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_OF_THE_MESSAGE: Final = frozenset(Remedy) - {Remedy.RETRY, Remedy.OPEN_CIRCUIT}
"""Errors of the message itself: WhatsApp accepted the number."""
_OVERLOADED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""With a time to come back, they concern the number and not the message."""


@dataclass(frozen=True, slots=True)
class Sent:
    """WhatsApp accepted the message under this id. status: what it does with a template; empty for other messages."""

    wamid: str = field(repr=False)
    status: str = ""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """WhatsApp accepted the file under this id."""

    media_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The message was not sent, or the file not accepted.

    wait: the least seconds until a retry; 0: as the remedy says.
    """

    code: str
    remedy: Remedy
    wait: float = 0


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It is unknown whether the message was sent: the Graph API has no idempotency key."""

    code: str


class _Answer(NamedTuple):
    """content: JSON; None: it cannot be read. wait: the seconds after which WhatsApp asks to be called; 0: none."""

    status: int
    content: Any
    wait: float


class GraphApi:
    """Calls for any of our numbers over one session, which the caller owns."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        version: str,
        token: str,
        *,
        pacing: Pacing,
        circuit_breaker: NumberCircuitBreaker,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._session = session
        self._proxy = proxies.of(URL(base_url))
        self._pacing = pacing
        self._circuit_breaker = circuit_breaker
        self._unanswered = UnansweredSends()
        self._root = f"{base_url}/{version}"
        self._bearer = CIMultiDict({"Authorization": f"Bearer {token}"})
        self._bearer_and_json = CIMultiDict(self._bearer, **{"Content-Type": "application/json"})
        self._messages = cache(lambda number: URL(f"{self._root}/{number}/messages"))

    async def send(self, number: str, body: Mapping[str, Any], timeout: float) -> Sent | Refused | Ambiguous:
        """Send one message from a number when its turn comes, within `timeout` seconds. Never raises."""
        remaining = await self._pacing.wait_turn(number, timeout)
        if remaining is None:
            return self._paced(number)
        if self._circuit_breaker.circuits and (left := self._circuit_breaker.admit(number)):
            return _circuit_open(left)
        remaining = await self._unanswered.begin(number, remaining)
        if remaining is None:
            return Refused("unanswered", Remedy.RETRY, SILENT_SECONDS)
        answer = await self._asked(number, body, remaining)
        if not isinstance(answer, _Answer):
            return answer
        if self._circuit_breaker.silences:
            self._circuit_breaker.record_answer(number)
        sent = _sent(answer.content) if answer.status < HTTPStatus.MULTIPLE_CHOICES else None
        if sent is not None and self._circuit_breaker.circuits:
            self._circuit_breaker.record_success(number)
        return sent or self._not_sent(number, answer)

    async def _asked(self, number: str, body: Mapping[str, Any], timeout: float) -> _Answer | Refused | Ambiguous:
        """The answer; Refused: the message did not leave; Ambiguous: no answer to it came."""
        answer = None
        try:
            answer = await self._post_message(number, body, timeout)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError):
            return Refused("unreachable", Remedy.RETRY)
        except TimeoutError:
            self._circuit_breaker.record_silence(number)
            return Ambiguous("timeout")
        except (aiohttp.ClientError, OSError):
            return Ambiguous("connection_lost")
        finally:
            self._unanswered.end(number, answered=answer is not None)
        return answer

    def _not_sent(self, number: str, answer: _Answer) -> Refused | Ambiguous:
        """The result of one message may concern its number."""
        code = _number_in_error(answer.content, "code")
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            self._note_pause(number, code, answer)
            return Ambiguous("answer_unreadable")
        if code is None and answer.status in _GATEWAY_FAULTS:
            # The error comes from a proxy: the Graph API may have accepted the message.
            return Ambiguous(f"http_{answer.status}")
        refused = self._refused(number, answer)
        if refused.remedy in _OF_THE_MESSAGE:
            self._circuit_breaker.record_success(number)
        return refused

    def _refused(self, number: str, answer: _Answer) -> Refused:
        code = _number_in_error(answer.content, "code")
        remedy = remedy_for(code, answer.status, _number_in_error(answer.content, "error_subcode"))
        refused = Refused(str(code) if code is not None else f"http_{answer.status}", remedy, answer.wait)
        if remedy is Remedy.RETRY:
            self._note_pause(number, code, answer)
        self._circuit_breaker.record_refusal(number, refused.code, remedy)
        return refused

    def _note_pause(self, number: str, code: int | None, answer: _Answer) -> None:
        if code in RATE_LIMIT_CODES or (answer.wait and answer.status in _OVERLOADED):
            self._pacing.pause(number, answer.wait)

    def _paced(self, number: str) -> Refused:
        return Refused("paced", Remedy.RETRY, self._pacing.seconds_paused(number))

    async def upload(self, number: str, file: File, data: bytes, timeout: float) -> Uploaded | Refused:
        """Upload a file for sending from a number, within `timeout` seconds. Never raises."""
        if left := self._circuit_breaker.seconds_open(number):
            return _circuit_open(left)
        if self._pacing.seconds_paused(number):
            return self._paced(number)
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": upload_type(file)})
        form.add_field("file", io.BytesIO(data), filename=shown_name(file), content_type=upload_type(file))
        try:
            answer = await self._post(URL(f"{self._root}/{number}/media"), form, self._bearer, timeout)
        except (aiohttp.ClientError, OSError):
            return Refused("unreachable", Remedy.RETRY)
        return _upload_result(answer) or self._refused(number, answer)

    async def mark_read(self, number: str, message_id: str, *, typing: bool) -> bool:
        """Mark a message as read, and with `typing` show "typing…" for 25 s or until an answer.

        Returns whether WhatsApp took it.
        """
        body: dict[str, Any] = {"status": "read", "message_id": message_id}
        if typing:
            body["typing_indicator"] = {"type": "text"}
        try:
            answer = await self._post_message(number, body, READ_SECONDS)
        except (aiohttp.ClientError, OSError):
            return False
        return answer.status == HTTPStatus.OK

    def _post_message(self, number: str, body: Mapping[str, Any], timeout: float) -> Awaitable[_Answer]:
        data = orjson.dumps({"messaging_product": "whatsapp", **body})
        return self._post(self._messages(number), data, self._bearer_and_json, timeout)

    async def _post(self, url: URL, data: Any, headers: CIMultiDict[str], timeout: float) -> _Answer:
        request = self._session.post(
            url,
            data=data,
            headers=headers,
            timeout=_limits(timeout),
            allow_redirects=False,
            proxy=self._proxy,
        )
        async with request as response:
            wait = 0.0 if response.ok else retry_after(response.headers) or 0.0
            return _Answer(response.status, await read_json(response), wait)


@lru_cache
def _limits(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))


def _upload_result(answer: _Answer) -> Uploaded | Refused | None:
    """None: the Graph API, or a proxy before it, refused the file as it refuses messages."""
    match answer:
        case _Answer(HTTPStatus.OK, {"id": str(media_id)}):
            return Uploaded(media_id)
        case _Answer(HTTPStatus.OK):
            return Refused("answer_unreadable", Remedy.RETRY)
        case _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            return Refused("http_413", Remedy.GIVE_UP)
    return None


def _circuit_open(left: float) -> Refused:
    return Refused("circuit_open", Remedy.RETRY, left)


def _sent(answer: Any) -> Sent | None:
    match answer:
        case {"messages": [{"id": str(wamid), "message_status": str(status)}, *_]} if wamid:
            return Sent(wamid, status)
        case {"messages": [{"id": str(wamid)}, *_]} if wamid:
            return Sent(wamid)
    return None


def _number_in_error(answer: Any, key: str) -> int | None:
    error = answer.get("error") if isinstance(answer, dict) else None
    number = error.get(key) if isinstance(error, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None
