"""Downloads of files from WhatsApp: the URL of a file, and its bytes. Requests go only to WhatsApp's own hosts.

Source: developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from yarl import URL

from serving.retry_after import retry_after
from whatsapp_gateway.graph.answers import read_json
from whatsapp_gateway.graph.media_hosts import MediaHosts
from whatsapp_gateway.graph.proxies import DIRECT, Proxies
from whatsapp_gateway.model.digests import read_sha256
from whatsapp_gateway.model.media_ids import is_media_id

PIECE_BYTES: Final = 64 * 1024
_MOST_HOPS: Final = 3
_CONNECT_SECONDS: Final = 5
_SILENT_SECONDS: Final = 15
_FIND_SECONDS: Final = 20
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRANSIENT: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NO_SUCH_OBJECT: Final = 100
_ACCESS_CODES: Final = frozenset({0, 10, 190})


class MediaError(Exception):
    """The file cannot be downloaded. `code` is for operators; `retryable`: it may be downloaded later.

    `wait`: the least seconds until then; 0: the kernel service decides.
    """

    def __init__(self, code: str, *, retryable: bool = False, alert: bool = False, wait: float = 0) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable
        self.wait = wait
        self.alert = alert
        """An operator must act: our token is rejected."""


class DownloadUrlExpiredError(Exception):
    """The URL has expired; the file's id gives a new one."""


@dataclass(frozen=True, slots=True)
class MediaDownload:
    """The URL of a file, valid for some minutes. size 0, sha256 empty: unknown."""

    url: str
    mime_type: str
    size: int
    sha256: bytes


class GraphMedia:
    """Downloads over one session, which the caller owns."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, version: str, token: str, proxies: Proxies = DIRECT
    ) -> None:
        self._session = session
        self._proxies = proxies
        self._root = f"{base_url}/{version}"
        self._hosts = MediaHosts(base_url)
        self._bearer = {"Authorization": f"Bearer {token}"}

    async def find(self, media_id: str) -> MediaDownload:
        """Raises `MediaError`."""
        if not is_media_id(media_id):
            raise MediaError("reference_refused")
        try:
            async with self._get(URL(f"{self._root}/{media_id}"), total=_FIND_SECONDS) as response:
                status, answer, wait = response.status, await read_json(response), retry_after(response.headers) or 0
        except (aiohttp.ClientError, OSError):
            raise MediaError("unreachable", retryable=True) from None
        if status != HTTPStatus.OK:
            raise _refusal(status, answer, wait)
        if not isinstance(answer, dict) or not isinstance(answer.get("url"), str):
            raise MediaError("answer_unreadable", retryable=True)
        mime_type, size = answer.get("mime_type"), answer.get("file_size")
        return MediaDownload(
            answer["url"],
            mime_type if isinstance(mime_type, str) else "",
            size if isinstance(size, int) and size > 0 else 0,
            read_sha256(answer.get("sha256")),
        )

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes in pieces of PIECE_BYTES at most. Raises `DownloadUrlExpiredError`, `MediaError`."""
        try:
            async with self._follow(_url(url)) as response:
                if response.status in {401, 403, 404, 410}:
                    raise DownloadUrlExpiredError
                if response.status != HTTPStatus.OK:
                    retryable = response.status in _TRANSIENT or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                    wait = retry_after(response.headers) or 0
                    raise MediaError(f"http_{response.status}", retryable=retryable, wait=wait)
                yield response.content.iter_chunked(PIECE_BYTES)
        except (aiohttp.ClientError, OSError):
            raise MediaError("unreachable", retryable=True) from None

    @asynccontextmanager
    async def _follow(self, url: URL) -> AsyncIterator[aiohttp.ClientResponse]:
        """The first answer that is not a redirect; each hop is checked."""
        for _ in range(_MOST_HOPS):
            if not self._hosts.may_lead_to(url):
                raise MediaError("address_refused")
            async with self._get(url) as response:
                target = response.headers.get("Location", "")
                if response.status not in _REDIRECTS or not target:
                    yield response
                    return
                url = url.join(_url(target))
        raise MediaError("too_many_redirects")

    def _get(self, url: URL, total: float | None = None) -> Any:
        return self._session.get(
            url,
            headers=self._bearer | {"Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=total, connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS),
            allow_redirects=False,
            proxy=self._proxies.of(url),
        )


def _url(text: str) -> URL:
    try:
        return URL(text)
    except ValueError:
        raise MediaError("address_unreadable", retryable=True) from None


def _refusal(status: int, answer: Any, wait: float) -> MediaError:
    error = answer.get("error") if isinstance(answer, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if code == _NO_SUCH_OBJECT or (code is None and status == HTTPStatus.NOT_FOUND):
        return MediaError("expired")
    told = f"http_{status}" if code is None else str(code)
    is_refused = code in _ACCESS_CODES or status == HTTPStatus.UNAUTHORIZED
    return MediaError(told, retryable=True, alert=is_refused, wait=wait)
