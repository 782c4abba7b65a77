"""The hosts that receive the bearer token, and those that are never contacted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from yarl import URL

from whatsapp_gateway.graph.media import GraphMedia, MediaError
from whatsapp_gateway.model.digests import read_sha256


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self._body = status, headers, body

    @property
    def content(self) -> "Answer":
        return self

    async def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        yield self._body


class Session:
    """Answers by URL, and records the requests with their bearer tokens."""

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
    "url",
    [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://LOOKASIDE.fbsbx.com:443/whatsapp_business/attachments/?mid=1",
        "https://mmg.whatsapp.net/v/t62",
        "https://graph.facebook.com/x",
    ],
)
async def test_whatsapps_own_hosts_get_the_bearer(url: str) -> None:
    session = Session()
    assert await read(session, url) == b"bytes"
    assert [asked[1] for asked in session.asked] == [True]


FOREIGN = [
    "https://evil.example/?mid=1",
    "https://lookaside.fbsbx.com.evil.example/",
    "https://lookaside.fbsbx.com./1",
    "https://evilwhatsapp.net/",
    "https://whatsapp.net/",
    "https://graph.facebook.com@evil.example/",
    "https://lookaside.fbsbx.com%2f@evil.example/",
    "https://user:word@lookaside.fbsbx.com/1",
    "https://lookaside.fbsbx.com:8443/1",
    "https://evil.example/#.whatsapp.net",
    "https://evil.example/?.whatsapp.net",
    "http://lookaside.fbsbx.com/1",
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "https://localhost/",
    "https://metadata.google.internal/",
    "file:///etc/passwd",
    "ftp://lookaside.fbsbx.com/1",
    "//lookaside.fbsbx.com/1",
    "/v26.0/me",
    "https:///1",
    "",
]


@pytest.mark.parametrize("url", FOREIGN)
async def test_no_other_host_is_contacted(url: str) -> None:
    session = Session()
    with pytest.raises(MediaError) as refused:
        await read(session, url)
    assert not refused.value.retryable
    assert session.asked == []


@pytest.mark.parametrize("url", ["https://lookaside.fbsbx.com\\@evil.example/", "https://[::1/", "https://a:99999/"])
async def test_an_invalid_url_is_retried_and_not_followed(url: str) -> None:
    session = Session()
    with pytest.raises(MediaError, match="address_unreadable"):
        await read(session, url)
    assert session.asked == []


async def test_the_configured_api_may_be_an_emulator() -> None:
    session = Session()
    await read(session, "http://emulators:8090/attachments/1", "http://emulators:8090/graph")
    assert session.asked == [("http://emulators:8090/attachments/1", True)]


@pytest.mark.parametrize("url", ["http://emulators:8091/1", "https://emulators:8090/1", "http://emulators/1"])
async def test_another_port_of_the_emulators_host_is_a_different_origin(url: str) -> None:
    session = Session()
    with pytest.raises(MediaError, match="address_refused"):
        await read(session, url, "http://emulators:8090/graph")
    assert session.asked == []


@pytest.mark.parametrize("target", ["https://evil.example/b", "http://10.0.0.1/b", "//evil.example/b", "http:/b"])
async def test_each_hop_is_checked(target: str) -> None:
    session = Session(a=target)
    with pytest.raises(MediaError, match="address_refused"):
        await read(session, "https://lookaside.fbsbx.com/a")
    assert len(session.asked) == 1


async def test_a_redirect_to_another_host_of_whatsapp_is_followed() -> None:
    session = Session(a="https://mmg.whatsapp.net/b")
    assert await read(session, "https://lookaside.fbsbx.com/a") == b"bytes"


@pytest.mark.parametrize(
    "media_id",
    [
        "",
        "..",
        "../me",
        "1/../../me",
        "1?fields=url",
        "1#",
        "1%2fme",
        "1\r\nX: y",
        "1 2",
        "1/messages",
        "１２",
        "1" * 129,
        "a.b",
    ],
)
async def test_an_id_that_would_change_the_url_is_not_requested(media_id: str) -> None:
    session = Session()
    graph = GraphMedia(session, "https://graph.facebook.com", "v26.0", "token")  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="reference_refused"):
        await graph.find(media_id)
    assert session.asked == []


async def test_redirects_are_limited() -> None:
    with pytest.raises(MediaError, match="too_many_redirects"):
        await read(Session(a="https://lookaside.fbsbx.com/a"), "https://lookaside.fbsbx.com/a")


@pytest.mark.parametrize("text", ["", "zz" * 32, "aGk=", None, 3, "é" * 64])
def test_an_invalid_digest_is_empty(text: object) -> None:
    assert read_sha256(text) == b""
