"""The public address: whether browsers and vendors reach the connect pages by https, and for how long.

A request from this machine may take another way than one from outside: a finding is certain, a good result is not.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from kernelctl.checks.http import Reply, Unreachable
from kernelctl.checks.results import Result, Skipped, error, note, ok, warning
from kernelctl.checks.whatsapp_webhook import callback_urls
from serving.loopback import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernelctl.checks.http import Http
    from kernelctl.checks.setup import Setup

HEALTH: Final = "/connect/health"
DAYS_BEFORE: Final = 14
_DAY: Final = 86_400
_HOPS: Final = 5
_SECONDS: Final = 8.0
_HTTPS: Final = 443
_BAD_GATEWAY: Final = frozenset({502, 503, 504})
_LINKS: Final = "People's connect links do not open."
_CADDY: Final = (
    "Put an https proxy before CONNECT_LISTEN, for example Caddy, and name its address in CONNECT_PUBLIC_URL."
)


async def connect_pages(setup: Setup, http: Http) -> Sequence[Result]:
    if not setup.has_kernel:
        raise Skipped("this process has no settings of the kernel service")
    url, given = setup.connect_url, setup.get("CONNECT_PUBLIC_URL")
    parts = urlsplit(url)
    if not given and not setup.is_demo:
        why = "Links lead to this machine, so only a browser on it opens them."
        return [error("CONNECT_PUBLIC_URL is not set", why=why, fix=_CADDY)]
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return [error("CONNECT_PUBLIC_URL is http only", why="Links and codes can be read on their way.", fix=_CADDY)]
    try:
        reply = await http.get(f"{url}{HEALTH}")
    except Unreachable as problem:
        return [await _unreachable(http, url, problem)]
    if reply.status in range(300, 400):
        return [await _redirected(http, f"{url}{HEALTH}", reply)]
    return [_answered(setup, reply)]


async def _unreachable(http: Http, url: str, problem: Unreachable) -> Result:
    if url.startswith("https://") and problem.kind in {"refused", "tls"} and await _speaks_http(http, url):
        return error("the server of CONNECT_PUBLIC_URL speaks http only", why=_LINKS, fix=_CADDY)
    if is_loopback(urlsplit(url).hostname or ""):
        fix = "Start the kernel service (`make run` or `make up`), or correct CONNECT_LISTEN."
        return error(f"the address of the connect pages {problem.problem}", why=_LINKS, fix=fix)
    return error(f"the address of CONNECT_PUBLIC_URL {problem.problem}", why=_LINKS, fix=problem.fix)


async def _speaks_http(http: Http, url: str) -> bool:
    try:
        await http.get(url.replace("https://", "http://", 1) + HEALTH)
    except Unreachable:
        return False
    return True


async def _redirected(http: Http, url: str, reply: Reply) -> Result:
    """Where redirects end, or that they do not."""
    seen = [url]
    while reply.status in range(300, 400) and len(seen) <= _HOPS:
        target = urljoin(seen[-1], reply.headers.get("Location", ""))
        if target in seen:
            fix = "If a service before the proxy ends TLS, let it speak https to the proxy as well (Cloudflare: Full)."
            return error("the server of CONNECT_PUBLIC_URL redirects in a loop", why=_LINKS, fix=fix)
        seen.append(target)
        try:
            reply = await http.get(target)
        except Unreachable:
            break
    where = urlsplit(seen[-1])
    return error(
        f"the server of CONNECT_PUBLIC_URL redirects to {where.scheme}://{where.netloc}",
        why="Vendors follow no redirects, and browsers lose what they send.",
        fix="Name the address at which the redirect ends, or let the proxy lead to the pages at once.",
    )


def _answered(setup: Setup, reply: Reply) -> Result:
    body = reply.json
    if reply.status == HTTPStatus.OK and isinstance(body, dict) and body.get("service") == "connect":
        return _served(setup, str(body.get("forwarded_for")))
    if reply.status in _BAD_GATEWAY:
        fix = "Start the kernel service, and let the proxy lead to its CONNECT_LISTEN."
        return error(f"the proxy of CONNECT_PUBLIC_URL finds no connect pages ({reply.status})", why=_LINKS, fix=fix)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return note("the connect pages are reached, and limit the rate of requests: try again in a minute")
    return error(
        f"another service than the connect pages answers at CONNECT_PUBLIC_URL (status {reply.status})",
        why=_LINKS,
        fix="Let the proxy lead the path /connect/ to CONNECT_LISTEN, without changing the path.",
    )


def _served(setup: Setup, forwarded: str) -> Result:
    """Behind a proxy, its requests are the visitors' own only through X-Forwarded-For."""
    why = "All visitors share the limit of one address, so a flood from one of them locks the others out."
    if forwarded == "ignored":
        fix = (
            "Name the proxy's address in CONNECT_TRUSTED_PROXIES (as 127.0.0.1 or 10.0.0.0/8), and restart the service."
        )
        return warning("the connect pages do not trust the proxy before them", why=why, fix=fix)
    if forwarded == "absent" and setup.connect_url.startswith("https://"):
        fix = "Let the proxy add X-Forwarded-For (nginx: proxy_set_header X-Forwarded-For $remote_addr;)."
        return warning("the proxy of CONNECT_PUBLIC_URL sends no X-Forwarded-For", why=why, fix=fix)
    return ok("the connect pages are reached")


async def certificates(setup: Setup, http: Http) -> Sequence[Result]:
    """How long the certificates are valid, of the connect pages and of the webhook."""
    urls = {setup.connect_url: "CONNECT_PUBLIC_URL"} if setup.has_kernel else {}
    if not setup.is_emulated("WhatsApp"):
        with suppress(Skipped):
            urls |= await callback_urls(setup, http)
    hosts = {
        (urlsplit(url).hostname or "", urlsplit(url).port or _HTTPS): what
        for url, what in urls.items()
        if url.startswith("https://")
    }
    if not hosts:
        raise Skipped("no address is https")
    ends = await asyncio.gather(*(_valid_until(host, port) for host, port in hosts))
    findings = [
        finding
        for what, end in zip(hosts.values(), ends, strict=True)
        if end and (finding := _ending(what, end, setup.clock()))
    ]
    if findings:
        return findings
    known = [end for end in ends if end]
    if not known:
        raise Skipped("see the findings of the addresses")
    return [ok(f"the certificates are valid, the first one until {_day(min(known))}")]


async def _valid_until(host: str, port: int) -> float | None:
    """Seconds since 1970; None: there is no valid certificate, which is the finding of another check."""
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=ssl.create_default_context())
    except (OSError, TimeoutError, ValueError):
        return None
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    end = certificate.get("notAfter")
    return float(ssl.cert_time_to_seconds(end)) if end else None


def _ending(what: str, end: float, now: float) -> Result | None:
    days = int((end - now) // _DAY)
    if days >= DAYS_BEFORE:
        return None
    return warning(
        f"the certificate of {what} is valid for {max(days, 0)} more days, until {_day(end)}",
        why="Then neither browsers nor vendors open the address.",
        fix="See why it is not renewed by itself (certbot renew, or the log of Caddy), and renew it.",
    )


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %B %Y")
