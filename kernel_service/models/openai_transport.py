"""POST requests to OpenAI's address over one session of the process: bytes out, a response to read within bounds.

The vendor's client is not used for them: it copies and wraps each request and response several times, which costs more
than the rest of a model call. The headers are the client's, so that its settings in the environment hold.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx2
from multidict import CIMultiDict
from yarl import URL

from kernel_service.proxies import proxy_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

    from kernel_service.models.body import Body

MOST_CONNECTIONS: Final = 1000
CONNECT_SECONDS: Final = 10.0
KEEP_ALIVE_SECONDS: Final = 4.0
"""Less than the 5 s after which uvicorn and Node close an idle connection: a request on a closed one is lost."""
MOST_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Of an answer in one piece, after decompression: many times what a model writes in one answer.

JSON that needs repair delays all other people by a quarter of a second per megabyte."""
MOST_STREAM_BYTES: Final = 16 * MOST_ANSWER_BYTES
"""Each token of a text comes in an event of 200 to 300 bytes, and the whole text in the last ones."""
MOST_REFUSAL_BYTES: Final = 1024 * 1024
REFUSAL_SECONDS: Final = 5.0
"""Seconds for the body of a refusal, after its status."""
_SUCCESS: Final = range(200, 300)


class StatusError(Exception):
    """A response with another status than 2xx. `body` is cut to MOST_REFUSAL_BYTES."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"http_{status}")
        self.status = status
        self.headers = headers
        self.body = body


class TooLargeError(Exception):
    """A response exceeds its bound."""


LOST: Final = (aiohttp.ClientError, OSError)
"""No response, or only a part of one. TimeoutError is an OSError."""


def never_sent(lost: BaseException) -> bool:
    """Whether no connection was made, so that the request was not sent."""
    return isinstance(
        lost, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.ClientHttpProxyError
    )


class OpenAITransport:
    """`base_url` may have a query, which each request gets. The last one of `headers` that differ only in case is sent.
    Redirects are not followed: they would send the key to another server.

    The caller bounds the time of a request.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], tls: ssl.SSLContext) -> None:
        base = URL(base_url)
        self._base = base.with_user(None)
        sent = CIMultiDict[str]()
        for name, value in headers.items():
            sent[name] = value.strip()
        if base.user or base.password:
            sent["Authorization"] = aiohttp.encode_basic_auth(base.user or "", base.password or "")
        self._proxy = proxy_of(self._base, os.environ)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=tls),
            headers=sent,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        self._urls: dict[str, URL] = {}

    async def post(self, path: str, body: Body) -> aiohttp.ClientResponse:
        """The response to JSON, for the caller to read and to release. StatusError, and one of LOST."""
        response = await self._session.post(
            self._urls.get(path) or self._url(path),
            data=body.content,
            headers={"Content-Type": "application/json", "Content-Length": str(body.length)},
            allow_redirects=False,
            proxy=self._proxy,
        )
        if response.status in _SUCCESS:
            return response
        async with response:
            raise StatusError(response.status, response.headers, await _beginning(response))

    def _url(self, path: str) -> URL:
        url = self._urls[path] = (self._base / path.lstrip("/")).with_query(self._base.query)
        return url

    async def close(self) -> None:
        await self._session.close()


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """The body. TooLargeError, and one of LOST."""
    return b"".join([part async for part in bounded(response, MOST_ANSWER_BYTES)])


async def bounded(response: aiohttp.ClientResponse, most: int) -> AsyncIterator[bytes]:
    """The body, chunk by chunk. TooLargeError: it exceeds `most` bytes."""
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > most:
            raise TooLargeError
        yield part


def as_httpx(response: aiohttp.ClientResponse) -> httpx2.Response:
    """The response for the event reader of the vendor's client. The bytes are decompressed already."""
    return httpx2.Response(response.status, stream=_Bytes(response), request=httpx2.Request("POST", str(response.url)))


class _Bytes(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return bounded(self._response, MOST_STREAM_BYTES)

    async def aclose(self) -> None:
        self._response.release()


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a refusal's body. Its status counts even if the body is endless, stalls or breaks off."""
    body = b""
    with suppress(*LOST, TooLargeError):
        async with asyncio.timeout(REFUSAL_SECONDS):
            async for part in bounded(response, MOST_REFUSAL_BYTES):
                body += part
    return body
