"""The Graph API as the gateway uses it; the only code that speaks it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from whatsapp_gateway.graph.errors import TOO_FAST, Remedy, remedy_for
from whatsapp_gateway.graph.file_kinds import shown_name, upload_type
from whatsapp_gateway.graph.number_circuit_breaker import NumberCircuitBreaker
from whatsapp_gateway.graph.pacing import Pacing
from whatsapp_gateway.graph.proxies import DIRECT, Proxies
from whatsapp_gateway.model.deliveries import File

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
SEND_SECONDS: Final = 15
_GATEWAY_FAULTS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
_OF_THE_MESSAGE: Final = frozenset(Remedy) - {Remedy.RETRY, Remedy.HALT}
"""Whoever is refused so was looked at: the number may send."""


@dataclass(frozen=True, slots=True)
class Sent:
    """WhatsApp took the message under this id."""

    wamid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """WhatsApp took the file under this id."""

    media_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The message was not sent, or the file not taken. wait: for so many seconds at least; 0: as the remedy has it."""

    code: str
    remedy: Remedy
    wait: float = 0


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Whether the message was sent is not known: there is no idempotency key to ask with."""

    code: str


class GraphApi:
    """Calls for any of our numbers over one session, which stays the caller's."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        version: str,
        token: str,
        *,
        pacing: Pacing,
        halts: NumberCircuitBreaker,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._session = session
        self._proxy = proxies.of(URL(base_url))
        self._pacing = pacing
        self._halts = halts
        self._root = f"{base_url}/{version}"
        self._bearer = {"Authorization": f"Bearer {token}"}

    async def send(self, number: str, body: Mapping[str, Any], timeout: float) -> Sent | Refused | Ambiguous:
        """Send one message from a number in its turn, within so many seconds. Never raises."""
        remaining = await self._pacing.turn(number, timeout)
        if remaining is None:
            return Refused("paced", Remedy.RETRY)
        if left := self._halts.admit(number):
            return _halted(left)
        try:
            status, answer = await self._post_message(number, body, remaining)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError):
            return Refused("unreachable", Remedy.RETRY)
        except TimeoutError:
            return Ambiguous("timeout")
        except (aiohttp.ClientError, OSError):
            return Ambiguous("connection_lost")
        if _number_in_error(answer, "code") in TOO_FAST:
            self._pacing.rest(number)
        result = _result(status, answer)
        self._heed(number, result)
        return result

    async def upload(self, number: str, file: File, data: bytes, timeout: float) -> Uploaded | Refused:
        """Put a file at WhatsApp, to be sent from a number, within so many seconds. Never raises."""
        if left := self._halts.left(number):
            return _halted(left)
        form = aiohttp.FormData({"messaging_product": "whatsapp", "type": upload_type(file)})
        form.add_field("file", io.BytesIO(data), filename=shown_name(file), content_type=upload_type(file))
        try:
            status, answer = await self._post(f"{number}/media", form, {}, timeout)
        except (aiohttp.ClientError, OSError):
            return Refused("unreachable", Remedy.RETRY)
        result = _upload_result(status, answer)
        if isinstance(result, Refused):
            self._halts.refused(number, result.code, result.remedy)
        return result

    async def show_typing(self, number: str, message_id: str) -> bool:
        """Mark a message as read and show "typing…" for 25 s or until an answer. Whether it was shown."""
        body = {"status": "read", "message_id": message_id, "typing_indicator": {"type": "text"}}
        try:
            status, _ = await self._post_message(number, body, READ_SECONDS)
        except (aiohttp.ClientError, OSError):
            return False
        return status == HTTPStatus.OK

    def _heed(self, number: str, result: Sent | Refused | Ambiguous) -> None:
        """What WhatsApp says of one message may say something of the number."""
        if isinstance(result, Refused):
            self._halts.refused(number, result.code, result.remedy)
        if isinstance(result, Sent) or (isinstance(result, Refused) and result.remedy in _OF_THE_MESSAGE):
            self._halts.passed(number)

    async def _post_message(self, number: str, body: Mapping[str, Any], timeout: float) -> tuple[int, Any]:
        data = orjson.dumps({"messaging_product": "whatsapp"} | dict(body))
        return await self._post(f"{number}/messages", data, {"Content-Type": "application/json"}, timeout)

    async def _post(self, path: str, data: Any, headers: Mapping[str, str], timeout: float) -> tuple[int, Any]:
        request = self._session.post(
            f"{self._root}/{path}",
            data=data,
            headers=self._bearer | dict(headers),
            timeout=aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout)),
            allow_redirects=False,
            proxy=self._proxy,
        )
        async with request as response:
            return response.status, _json(await response.read())


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _result(status: int, answer: Any) -> Sent | Refused | Ambiguous:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        wamid = _wamid(answer)
        return Sent(wamid) if wamid else Ambiguous("answer_unreadable")
    # A proxy in between speaks for itself: the Graph API may have done the work.
    if _number_in_error(answer, "code") is None and status in _GATEWAY_FAULTS:
        return Ambiguous(f"http_{status}")
    return _refused(status, answer)


def _upload_result(status: int, answer: Any) -> Uploaded | Refused:
    match answer:
        case {"id": str(media_id)} if status == HTTPStatus.OK:
            return Uploaded(media_id)
    if status == HTTPStatus.OK:
        return Refused("answer_unreadable", Remedy.RETRY)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refused("http_413", Remedy.GIVE_UP)
    return _refused(status, answer)


def _halted(left: float) -> Refused:
    return Refused("halted", Remedy.RETRY, left)


def _refused(status: int, answer: Any) -> Refused:
    code = _number_in_error(answer, "code")
    return Refused(
        str(code) if code is not None else f"http_{status}",
        remedy_for(code, status, _number_in_error(answer, "error_subcode")),
    )


def _wamid(answer: Any) -> str:
    match answer:
        case {"messages": [{"id": str(wamid)}, *_]}:
            return wamid
    return ""


def _number_in_error(answer: Any, key: str) -> int | None:
    error = answer.get("error") if isinstance(answer, dict) else None
    number = error.get(key) if isinstance(error, dict) else None
    return number if isinstance(number, int) else None
