"""HTTP requests of the checks: short, without redirects, and with failures in words."""

from __future__ import annotations

import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SECONDS: Final = 8.0
MOST_BYTES: Final = 1024 * 1024


class Unreachable(Exception):
    """No answer. `problem` follows the name of the address; `fix` is a sentence. `kind`: dns, refused, time, tls."""

    def __init__(self, kind: str, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.kind = kind
        self.problem = problem
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """None: the body is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Http:
    """One session for all checks of a run. Proxies are those of the environment, as of the services."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> AsyncIterator[Http]:
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
            yield cls(session)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Created in the run, so that SSL_CERT_FILE counts, as in the services. It takes 25 ms."""
        return ssl.create_default_context()

    async def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> Reply:
        """Raises Unreachable."""
        return await self._ask("GET", url, headers=headers, params=params)

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: bytes | aiohttp.FormData | None = None,
        body: Any = None,
    ) -> Reply:
        """`data` as it is, or `body` as JSON. Raises Unreachable."""
        return await self._ask("POST", url, headers=headers, data=data, json=body)

    async def _ask(self, method: str, url: str, **options: Any) -> Reply:
        tls = self._tls if url.startswith("https:") else True
        try:
            async with self._session.request(method, url, allow_redirects=False, ssl=tls, **options) as answer:
                raw = await answer.content.read(MOST_BYTES)
                return Reply(answer.status, raw.decode(errors="replace"), answer.headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise _explained(problem) from None


_CERTIFICATES: Final = {
    10: ("has a certificate that has expired", "Renew the certificate, and see why it was not renewed by itself."),
    18: (
        "has a self-signed certificate",
        "Get one from a public authority, for example with Caddy or certbot: vendors and browsers accept no other.",
    ),
    19: ("has a certificate of an unknown authority", "Get one from a public authority, and serve its whole chain."),
    20: (
        "has a certificate whose chain is incomplete or whose authority is unknown",
        "Serve the whole chain (fullchain.pem), not only the certificate.",
    ),
    62: ("has a certificate of another name", "Get a certificate for exactly this host name."),
}
"""OpenSSL's codes of verification: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/"""


_FAILURES: Final[tuple[tuple[tuple[type[BaseException], ...], tuple[str, str, str]], ...]] = (
    (
        (aiohttp.ClientConnectorSSLError, aiohttp.ServerFingerprintMismatch, ssl.SSLError),
        ("tls", "does not speak TLS", "Let the server speak https there, or correct the port."),
    ),
    (
        (aiohttp.ClientConnectorDNSError,),
        ("dns", "has a host name that does not resolve", "Correct the name, or create its DNS record (A or AAAA)."),
    ),
    (
        (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError),
        ("proxy", "is not reached through the proxy of the environment", "Correct HTTPS_PROXY, or set NO_PROXY."),
    ),
    (
        (TimeoutError,),
        (
            "time",
            f"gives no answer within {SECONDS:g} s",
            "See whether a firewall drops the connection, and whether the server is overloaded.",
        ),
    ),
    (
        (aiohttp.ClientConnectorError, ConnectionRefusedError),
        ("refused", "refuses the connection", "Start what serves there, or correct host and port."),
    ),
    ((aiohttp.InvalidURL, ValueError), ("url", "is not a URL that can be opened", "Correct it.")),
)


def _explained(problem: BaseException) -> Unreachable:
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        code = getattr(problem.certificate_error, "verify_code", 0)
        text, fix = _CERTIFICATES.get(code, ("has a certificate that is not valid", "Renew the certificate."))
        return Unreachable("tls", text, fix)
    broken = ("broken", "breaks the connection off", "See the log of what serves there.")
    return Unreachable(*next((words for kinds, words in _FAILURES if isinstance(problem, kinds)), broken))
