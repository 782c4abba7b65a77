"""Addresses to listen on, as people write them."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest
from aiohttp import web

from serving.listening import Address, CannotListenError, http_served
from tests.ports import free_port


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        ("0.0.0.0:8080", "0.0.0.0", 8080, "0.0.0.0:8080"),
        ("localhost:0", "localhost", 0, "localhost:0"),
        ("kernel-1.internal:65535", "kernel-1.internal", 65535, "kernel-1.internal:65535"),
        ("[::1]:8080", "::1", 8080, "[::1]:8080"),
        ("[0:0:0:0:0:0:0:1]:8080", "::1", 8080, "[::1]:8080"),
        ("[fe80::1%eth0]:8080", "fe80::1%eth0", 8080, "[fe80::1%eth0]:8080"),
        ("[::]:8080", "", 8080, "[::]:8080"),
        ("*:8080", "", 8080, "[::]:8080"),
        (":8080", "", 8080, "[::]:8080"),
        (" 127.0.0.1:8080 ", "127.0.0.1", 8080, "127.0.0.1:8080"),
    ],
)
def test_an_address(text: str, host: str, port: int, shown: str) -> None:
    address = Address.parse(text)
    assert (address, str(address)) == ((host, port), shown)


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "8080", "somewhere", "host:", "host:port", "host:-1", "host:65536", "host:8080/", "host:１"),
        *("::1:8080", "[::1]", "[::1:8080", "[]:8080", "[127.0.0.1]:8080", "[zz]:8080", "host:80:80"),
        *("http://host:8080", "user@host:8080", "a b:8080", "a,b:8080", "unix:/run/x"),
    ],
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be host:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:1", "http://127.0.0.1:1"),
        ("0.0.0.0:1", "http://127.0.0.1:1"),
        ("[::]:1", "http://127.0.0.1:1"),
        ("[::1]:1", "http://[::1]:1"),
        ("door.internal:1", "http://door.internal:1"),
    ],
)
def test_the_url_for_this_machine(text: str, url: str) -> None:
    assert Address.parse(text).url == url


async def answers(url: str) -> bool:
    async with aiohttp.ClientSession() as http:
        try:
            async with http.get(url) as response:
                return response.status == 404
        except aiohttp.ClientConnectionError:
            return False


async def reached(port: int) -> tuple[bool, bool]:
    """Whether the port answers by IPv4, and by IPv6."""
    v4, v6 = await asyncio.gather(answers(f"http://127.0.0.1:{port}/"), answers(f"http://[::1]:{port}/"))
    return v4, v6


needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[::]:0", (True, True)),
        (":0", (True, True)),
        ("0.0.0.0:0", (True, False)),
        ("127.0.0.1:0", (True, False)),
        ("[::1]:0", (False, True)),
    ],
)
async def test_an_address_is_reached_by_ipv4_and_ipv6_as_expected(text: str, expected: tuple[bool, bool]) -> None:
    async with http_served(web.Application(), "X_LISTEN", Address.parse(text)) as port:
        assert await reached(port) == expected


@pytest.mark.parametrize("text", ["127.0.0.1:{}", "[::]:{}", "0.0.0.0:{}"])
async def test_the_error_of_a_port_in_use_names_the_setting(text: str) -> None:
    address = Address.parse(text.format(free_port()))
    async with http_served(web.Application(), "X_LISTEN", address):
        with pytest.raises(CannotListenError, match=r"X_LISTEN: cannot listen on .* already in use"):
            async with http_served(web.Application(), "X_LISTEN", address):
                pass


async def test_the_error_of_a_foreign_host_names_the_setting() -> None:
    address = Address.parse(f"192.0.2.1:{free_port()}")
    with pytest.raises(CannotListenError, match=r"X_LISTEN: cannot listen on 192\.0\.2\.1"):
        async with http_served(web.Application(), "X_LISTEN", address):
            pass


async def test_a_request_that_never_ends_does_not_delay_the_end() -> None:
    async def slow(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", slow)
    async with asyncio.timeout(10):
        async with http_served(app, "X_LISTEN", Address.parse("127.0.0.1:0"), shutdown_seconds=0.05) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
            await reader.readline()  # it waits for the body now
            writer.write(b"some")
        assert not (await reader.read()).strip()
    writer.close()


async def test_a_machine_without_ipv6_still_listens_on_every_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    async with http_served(web.Application(), "X_LISTEN", Address.parse("[::]:0")) as port:
        assert await answers(f"http://127.0.0.1:{port}/")
