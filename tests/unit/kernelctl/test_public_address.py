from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kernelctl.checks.results import Status
from tests.unit.kernelctl.certificates import Authority

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.kernelctl.vendors import Vendors


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@asynccontextmanager
async def pages(
    tls: ssl.SSLContext | None, *, forwarded: str = "used", status: int = 200, location: str = "", text: str = ""
) -> AsyncIterator[int]:
    """A server at the public address; its port."""

    async def answer(_: web.Request) -> web.Response:
        if status != 200 or text:
            return web.Response(status=status, text=text, headers={"Location": location} if location else {})
        return web.json_response({"service": "connect", "forwarded_for": forwarded})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app, scheme="https" if tls else "http")
    await server.start_server(ssl=tls)
    try:
        yield int(server.port or 0)
    finally:
        await server.close()


async def test_a_public_address_with_a_certificate_is_fine(real: Vendors, authority: Authority) -> None:
    async with pages(authority.context()) as port:
        real.values |= {"CONNECT_PUBLIC_URL": f"https://localhost:{port}", "WHATSAPP_ACCESS_TOKEN": ""}
        assert [result.status for result in await real.check("public")] == [Status.OK, Status.OK]


@pytest.mark.parametrize(
    ("certificate", "text"),
    [
        ({"days": -1}, "has expired"),
        ({"name": "other.example.com"}, "of another name"),
        ({"is_self_signed": True}, "self-signed"),
    ],
)
async def test_a_certificate_that_browsers_refuse_is_found(
    real: Vendors, authority: Authority, certificate: dict[str, Any], text: str
) -> None:
    async with pages(authority.context(**certificate)) as port:
        real.values["CONNECT_PUBLIC_URL"] = f"https://localhost:{port}"
        assert text in (await real.finding("public")).text


async def test_an_unknown_authority_is_found(
    real: Vendors, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with pages(authority.context()) as port:
        real.values["CONNECT_PUBLIC_URL"] = f"https://localhost:{port}"
        assert "authority is unknown" in (await real.finding("public")).text


async def test_a_certificate_that_ends_soon_is_a_warning(real: Vendors, authority: Authority) -> None:
    async with pages(authority.context(days=5.5)) as port:
        real.values["CONNECT_PUBLIC_URL"] = f"https://localhost:{port}"
        found = await real.finding("public")
    assert found.status is Status.WARNING
    assert "5 more days" in found.text


@pytest.mark.parametrize(
    ("answer", "text", "fix"),
    [
        ({"status": 404}, "another service", "without changing the path"),
        ({"text": "<html>"}, "another service", "without changing the path"),
        ({"status": 502}, "finds no connect pages", "CONNECT_LISTEN"),
        ({"status": 302, "location": "/connect/health"}, "in a loop", "Full"),
        ({"status": 301, "location": "http://127.0.0.1:9/"}, "redirects to http://127.0.0.1:9", "redirect ends"),
        ({"forwarded": "absent"}, "sends no X-Forwarded-For", "proxy_set_header"),
        ({"forwarded": "ignored"}, "do not trust the proxy", "CONNECT_TRUSTED_PROXIES"),
    ],
)
async def test_a_fault_of_the_proxy_is_found(
    real: Vendors, authority: Authority, answer: dict[str, Any], text: str, fix: str
) -> None:
    async with pages(authority.context(), **answer) as port:
        real.values["CONNECT_PUBLIC_URL"] = f"https://localhost:{port}"
        found = await real.finding("public.pages")
    assert text in found.text
    assert fix in found.fix


async def test_a_server_that_speaks_http_only_is_found(real: Vendors, authority: Authority) -> None:
    async with pages(None) as port:
        real.values["CONNECT_PUBLIC_URL"] = f"https://localhost:{port}"
        assert "speaks http only" in (await real.finding("public.pages")).text


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "CONNECT_PUBLIC_URL is not set"),
        ("http://connect.example.com", "http only"),
        ("https://no.invalid", "does not resolve"),
        ("https://127.0.0.1:9", "refuses the connection"),
    ],
)
async def test_an_address_that_no_browser_opens_is_found(real: Vendors, url: str, text: str) -> None:
    real.values["CONNECT_PUBLIC_URL"] = url
    assert text in (await real.finding("public.pages")).text
