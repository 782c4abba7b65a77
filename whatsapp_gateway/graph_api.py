"""The Graph API as the gateway uses it; the only code that speaks it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import orjson

from whatsapp_gateway.graph_errors import TOO_FAST, Remedy, remedy_for
from whatsapp_gateway.pacing import Pacing

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 10
_GATEWAY_FAULTS: Final = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


@dataclass(frozen=True, slots=True)
class Sent:
    """WhatsApp took the message under this id."""

    wamid: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The message was not sent."""

    code: str
    remedy: Remedy


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Whether the message was sent is not known: there is no idempotency key to ask with."""

    code: str


class GraphApi:
    """Calls for any of our numbers over one session, which stays the caller's."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, version: str, token: str, pacing: Pacing | None = None
    ) -> None:
        self._session = session
        self._pacing = pacing or Pacing(0)
        self._root = f"{base_url}/{version}"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def send(self, number: str, body: Mapping[str, Any], timeout: float) -> Sent | Refused | Ambiguous:
        """Send one message from a number in its turn, within so many seconds. Never raises."""
        remaining = await self._pacing.turn(number, timeout)
        if remaining is None:
            return Refused("paced", Remedy.RETRY)
        try:
            status, answer = await self._post(number, body, remaining)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Refused("unreachable", Remedy.RETRY)
        except TimeoutError:
            return Ambiguous("timeout")
        except (aiohttp.ClientError, OSError):
            return Ambiguous("connection_lost")
        if _number_in_error(answer, "code") in TOO_FAST:
            self._pacing.rest(number)
        return _result(status, answer)

    async def show_typing(self, number: str, message_id: str) -> bool:
        """Mark a message as read and show "typing…" for 25 s or until an answer. Whether it was shown."""
        body = {"status": "read", "message_id": message_id, "typing_indicator": {"type": "text"}}
        try:
            status, _ = await self._post(number, body, READ_SECONDS)
        except (aiohttp.ClientError, OSError):
            return False
        return status == HTTPStatus.OK

    async def _post(self, number: str, body: Mapping[str, Any], timeout: float) -> tuple[int, Any]:
        request = self._session.post(
            f"{self._root}/{number}/messages",
            data=orjson.dumps({"messaging_product": "whatsapp"} | dict(body)),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_SECONDS, timeout)),
            allow_redirects=False,
        )
        async with request as response:
            return response.status, _json(await response.read())


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _result(status: int, answer: Any) -> Sent | Refused | Ambiguous:
    if status == HTTPStatus.OK:
        wamid = _wamid(answer)
        return Sent(wamid) if wamid else Ambiguous("answer_unreadable")
    code = _number_in_error(answer, "code")
    # A proxy in between speaks for itself: the Graph API may have done the work.
    if code is None and status in _GATEWAY_FAULTS:
        return Ambiguous(f"http_{status}")
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
