"""Where the bearer goes, and where nothing is read from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from whatsapp_gateway.digests import read_sha256
from whatsapp_gateway.graph_media import GraphMedia, MediaError


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self._body = status, headers, body

    @property
    def content(self) -> "Answer":
        return self

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        yield self._body


class Session:
    """Answers by URL, and keeps what was asked with which bearer."""

    def __init__(self, **redirects: str) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._redirects = redirects

    @asynccontextmanager
    async def get(self, url: URL, headers: dict[str, str], **_: Any) -> AsyncIterator[Answer]:
        self.asked.append((str(url), "Authorization" in headers))
        target = self._redirects.get(url.path.strip("/"))
        yield Answer(302, {"Location": target}, b"") if target else Answer(200, {}, b"bytes")


async def read(session: Session, url: str, base_url: str = "https://graph.facebook.com") -> bytes:
    graph = GraphMedia(session, base_url, "v26.0", "token")  # type: ignore[arg-type]
    async with graph.open(url) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize(
    ("url", "bearer"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://mmg.whatsapp.net/v/t62", True),
        ("https://graph.facebook.com/x", True),
        ("https://evil.example/?mid=1", False),
        ("https://lookaside.fbsbx.com.evil.example/", False),
        ("https://evilwhatsapp.net/", False),
        ("https://graph.facebook.com@evil.example/", False),
    ],
)
async def test_the_bearer_goes_to_whatsapps_own_hosts_alone(url: str, *, bearer: bool) -> None:
    session = Session()
    assert await read(session, url) == b"bytes"
    assert [asked[1] for asked in session.asked] == [bearer]


async def test_the_configured_api_may_be_an_emulator() -> None:
    session = Session()
    await read(session, "http://emulators:8090/attachments/1", "http://emulators:8090/graph")
    assert session.asked == [("http://emulators:8090/attachments/1", True)]


@pytest.mark.parametrize("url", ["http://lookaside.fbsbx.com/1", "http://169.254.169.254/", "file:///etc/passwd"])
async def test_nothing_is_read_in_plain_text_from_anybody_else(url: str) -> None:
    session = Session()
    with pytest.raises(MediaError):
        await read(session, url)
    assert session.asked == []


async def test_each_hop_is_looked_at_anew() -> None:
    session = Session(a="https://evil.example/b")
    await read(session, "https://lookaside.fbsbx.com/a")
    assert [bearer for _, bearer in session.asked] == [True, False]
    with pytest.raises(MediaError):
        await read(Session(a="http://10.0.0.1/b"), "https://lookaside.fbsbx.com/a")


async def test_hops_end() -> None:
    with pytest.raises(MediaError, match="too_many_redirects"):
        await read(Session(a="https://lookaside.fbsbx.com/a"), "https://lookaside.fbsbx.com/a")


@pytest.mark.parametrize("text", ["", "zz" * 32, "aGk=", None, 3, "é" * 64])
def test_what_is_no_digest(text: object) -> None:
    assert read_sha256(text) == b""
