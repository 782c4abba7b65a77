"""The connect pages under a flood: only the flooding address is refused, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import func, select

from kernel_service.connections.tokens import new_nonce
from kernel_service.connections.vendor_events import TOLERANCE_SECONDS
from kernel_service.connections.web import connect_pages
from kernel_service.connections.web.connect_pages import MOST_EVENT_BYTES, ConnectPages
from kernel_service.connections.web.not_found_limiter import BURST, NotFoundLimiter
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.connections.web.throttle import (
    MOST_OF_ADDRESS,
    MOST_OF_PAGE,
    MOST_UNMATCHED,
    MOST_UNMATCHED_OF_ADDRESS,
)
from kernel_service.ports.tools import Person
from kernel_service.storage.schema import schema
from serving.listening import Address
from tests.packing import BOMB, PACKED
from tests.unit.composio.fakes import CONNECT_URL
from tests.unit.connections.test_vendor_events import SECRET, events, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from aiohttp import web

    from tests.unit.composio.fakes import World

FLOODER, SOMEBODY = "203.0.113.7", "203.0.113.8"


class Front:
    """The connect pages behind a proxy."""

    def __init__(self, world: World, client: TestClient[web.Request, web.Application], pages: ConnectPages) -> None:
        self._world = world
        self._client = client
        self.pages = pages

    async def status(self, method: str, path: str, who: str, body: Any = b"", **headers: str) -> int:
        """`who`: whom the proxy says that it asks for."""
        headers["X-Forwarded-For"] = f"6.6.6.6, {who}"
        async with self._client.request(method, path, data=body, headers=headers) as answer:
            return answer.status

    async def look(self, who: str, page: str = "") -> int:
        return await self.status("GET", f"/connect/{page or new_nonce()}", who)

    async def event(self, who: str, secret: str = SECRET) -> int:
        return await self.status("POST", "/connect/events", who, b"{}", **signed(b"{}", self._world.clock.now, secret))

    async def unmatched(self, who: str, session_uri: str = "", cookie: str = "") -> int:
        path = f"/connect/verify?session_uri={session_uri or new_nonce()}"
        return await self.status("GET", path, who, Cookie=f"__Host-connect_browser={cookie}" if cookie else "")

    async def stalled(self, headers: dict[str, str], asked: str = "POST /connect/events") -> int:
        """Of a request whose body never comes."""
        lines = [f"{asked} HTTP/1.1", "Host: x"]
        if asked.startswith("POST") and "Content-Length" not in headers:
            lines.append("Content-Length: 100")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        reader, writer = await asyncio.open_connection(self._client.host, self._client.port)
        writer.write("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
        async with asyncio.timeout(30):
            status = await reader.readline()
        writer.close()
        return int(status.split()[1])

    async def flood(self, who: str) -> None:
        for _ in range(MOST_OF_ADDRESS.amount):
            await self.pages._throttle.admits(who, "GET")

    @property
    def keys(self) -> list[str]:
        """The keys that the rate limits store."""
        return list(self.pages._throttle._limiter.storage.storage)  # type: ignore[attr-defined]

    async def rows(self) -> int:
        counted = select(func.count()).select_from(schema.stray_session)
        return await self._world.store.engine.read(lambda tx: tx.execute(counted).scalar_one())


@pytest.fixture
async def front(world: World) -> AsyncIterator[Front]:
    world.set_verifier()
    pages = ConnectPages(
        world.consent, events(world), world.store.chats, world.store.people, CONNECT_URL, TrustedProxies("127.0.0.1")
    )
    async with TestClient(TestServer(pages._app())) as client:
        yield Front(world, client, pages)


async def test_a_flood_blocks_only_its_own_address(front: Front) -> None:
    assert await front.look(FLOODER) == HTTPStatus.NOT_FOUND
    await front.flood(FLOODER)
    assert await front.look(FLOODER) == HTTPStatus.TOO_MANY_REQUESTS
    assert await front.look(SOMEBODY) == HTTPStatus.NOT_FOUND


async def test_a_refused_client_leaves_nothing_more_in_memory(front: Front) -> None:
    await front.flood(FLOODER)
    before = front.keys
    for _ in range(50):
        assert await front.unmatched(FLOODER, f"{new_nonce()}{'x' * 4000}") == HTTPStatus.TOO_MANY_REQUESTS
    assert front.keys == before


async def test_no_page_is_remembered_by_more_than_a_digest(front: Front) -> None:
    await front.unmatched(SOMEBODY, "x" * 4000)
    assert max(map(len, front.keys)) < 120


@pytest.fixture
async def site(world: World) -> AsyncIterator[tuple[ConnectPages, str]]:
    """The connect pages as they are served, and their address."""
    pages = ConnectPages(
        world.consent, events(world), world.store.chats, world.store.people, CONNECT_URL, TrustedProxies("127.0.0.1")
    )
    async with pages.serving(Address("127.0.0.1", 0)) as port:
        yield pages, f"http://127.0.0.1:{port}"


async def test_issued_links_open_during_a_flood_of_forged_ones(
    world: World, site: tuple[ConnectPages, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those beyond their share are refused by their first line, with the page and the headers of any other."""
    pages, url = site
    link = (await world.connect_links.link(Person("p_alice", "test", "desk"), "asana")).link.url.replace(
        CONNECT_URL, url
    )
    pages._not_found = NotFoundLimiter(lambda: 0.0)
    looked = []
    attempt_by = world.store.connect_attempts.find

    async def counting(*asked: Any) -> Any:
        looked.append(asked)
        return await attempt_by(*asked)

    monkeypatch.setattr(world.store.connect_attempts, "find", counting)
    async with aiohttp.ClientSession() as session:
        for number in range(BURST + 20):
            path = "/connect/return" if number % 2 else "/connect"
            async with session.get(f"{url}{path}/{new_nonce()}") as answer:
                made_up = HTTPStatus.NOT_FOUND if number < BURST else HTTPStatus.TOO_MANY_REQUESTS
                assert answer.status == made_up
                assert answer.headers["Connection"] == "close"
                page = await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Too many requests" in page
        assert len(looked) == BURST
        async with session.get(link) as opened:
            assert opened.status == HTTPStatus.OK
        async with session.get(f"{url}/connect/style.css") as style:
            assert style.status == HTTPStatus.OK


@pytest.mark.parametrize("target", ["/", "/admin.php", "/connect/", "/connect/short", "//connect/verify", "*"])
async def test_unknown_paths_count_as_forged_links(site: tuple[ConnectPages, str], target: str) -> None:
    pages, _ = site
    pages._not_found = NotFoundLimiter(lambda: 0.0)
    line = f"GET {target} HTTP/1.1\r".encode()
    assert pages._refusal(line) is None
    for _ in range(BURST):
        pages._not_found.count()
    assert (pages._refusal(line) or b"").startswith(b"HTTP/1.1 429 ")


async def test_a_link_of_an_earlier_release_opens_while_there_is_no_flood(
    world: World, site: tuple[ConnectPages, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = site
    monkeypatch.setattr(world.connect_links.nonces, "new", new_nonce)
    link = (await world.connect_links.link(Person("p_alice", "test", "desk"), "asana")).link.url.replace(
        CONNECT_URL, url
    )
    async with aiohttp.ClientSession() as session, session.get(link) as opened:
        assert opened.status == HTTPStatus.OK


async def test_each_page_has_a_separate_limit(front: Front) -> None:
    page = new_nonce()
    statuses = [await front.look(SOMEBODY, page) for _ in range(MOST_OF_PAGE.amount + 1)]
    assert statuses == [HTTPStatus.NOT_FOUND] * MOST_OF_PAGE.amount + [HTTPStatus.TOO_MANY_REQUESTS]
    assert await front.look(SOMEBODY) == HTTPStatus.NOT_FOUND


# --- the vendor's events --------------------------------------------------------------------------------------------


async def test_signed_events_are_accepted_during_a_flood(front: Front) -> None:
    await front.flood(FLOODER)
    assert await front.event(FLOODER) == HTTPStatus.OK
    assert await front.event(FLOODER, "another") == HTTPStatus.TOO_MANY_REQUESTS
    assert await front.event(SOMEBODY, "another") == HTTPStatus.UNAUTHORIZED


async def test_unsigned_events_count_against_the_limit(front: Front) -> None:
    for _ in range(MOST_OF_ADDRESS.amount - 1):
        await front.pages._throttle.admits(FLOODER, "GET")
    await front.event(FLOODER)
    assert await front.event(FLOODER, "another") == HTTPStatus.UNAUTHORIZED
    assert await front.event(FLOODER, "another") == HTTPStatus.TOO_MANY_REQUESTS
    assert await front.look(FLOODER) == HTTPStatus.TOO_MANY_REQUESTS


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
async def test_a_compressed_body_is_refused_signed_or_not(world: World, front: Front, packed: dict[str, str]) -> None:
    for headers in ({}, signed(BOMB, world.clock.now)):
        status = await front.status("POST", "/connect/events", SOMEBODY, BOMB, **packed, **headers)
        assert status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    for page in (f"/connect/{new_nonce()}", "/connect/verify", "/connect/style.css", "/connect/nowhere"):
        assert await front.status("POST", page, SOMEBODY, BOMB, **packed) == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_the_body_of_an_unsigned_event_is_not_read(front: Front, world: World, missing: str) -> None:
    headers = signed(b"{}", world.clock.now)
    del headers[missing]
    assert await front.stalled(headers) == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("told", [True, False], ids=["length", "chunked"])
async def test_an_event_that_is_too_large_is_counted_and_logged_without_its_content(
    front: Front, world: World, caplog: pytest.LogCaptureFixture, *, told: bool
) -> None:
    body = b"private words" + bytes(MOST_EVENT_BYTES)

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    for _ in range(9):
        sent: Any = body if told else pieces()
        status = await front.status("POST", "/connect/events", SOMEBODY, sent, **signed(body, world.clock.now))
        assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert front.pages.refused_events.counts == {"too_large": 9}
    assert caplog.text.count("event of Composio refused reason=too_large") == 5
    assert (f"bytes={len(body) if told else 'unknown'} " in caplog.text, "private" in caplog.text) == (True, False)


async def test_only_what_seems_to_be_an_event_of_composio_is_counted(front: Front, world: World) -> None:
    await front.event(SOMEBODY)
    await front.status("POST", "/connect/events", SOMEBODY, b"{}")
    assert not front.pages.refused_events.counts
    await front.event(SOMEBODY, "another")
    assert front.pages.refused_events.counts == {"wrong_signature": 1}


async def test_an_old_signature_is_not_read(front: Front, world: World) -> None:
    assert await front.stalled(signed(b"{}", world.clock.now - TOLERANCE_SECONDS - 1)) == HTTPStatus.UNAUTHORIZED
    assert await front.stalled(signed(b"{}", 10**30)) == HTTPStatus.UNAUTHORIZED


async def test_an_event_that_does_not_come_is_given_up(
    front: Front, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect_pages, "EVENT_SECONDS", 0.05)
    assert await front.stalled(signed(b"{}", world.clock.now)) == HTTPStatus.REQUEST_TIMEOUT
    assert front.pages.refused_events.counts == {"stalled": 1}
    assert await front.event(SOMEBODY) == HTTPStatus.OK


async def test_an_event_that_is_too_long_is_not_read(front: Front, world: World) -> None:
    headers = signed(b"{}", world.clock.now) | {"Content-Length": str(10**12)}
    assert await front.stalled(headers) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


async def test_headers_that_are_no_text_are_answered(front: Front, world: World) -> None:
    odd = {"webhook-id": "\udcff", "webhook-signature": "v1,\udcff", "Content-Length": "0"}
    assert await front.event(SOMEBODY) == HTTPStatus.OK
    assert await front.stalled(signed(b"{}", world.clock.now) | odd) == HTTPStatus.UNAUTHORIZED
    assert (
        await front.stalled({"Cookie": "__Host-connect_browser=\udcff"}, "GET /connect/verify?session_uri=%ff") == 404
    )


# --- the verifier's sessions that belong to no attempt --------------------------------------------------------------


async def test_unmatched_sessions_of_one_address_store_little(front: Front) -> None:
    most = MOST_UNMATCHED_OF_ADDRESS.amount
    statuses = [await front.unmatched(FLOODER) for _ in range(most + 20)]
    assert statuses == [HTTPStatus.NOT_FOUND] * most + [HTTPStatus.TOO_MANY_REQUESTS] * 20
    assert await front.rows() == most
    assert await front.unmatched(SOMEBODY) == HTTPStatus.NOT_FOUND
    assert await front.rows() == most + 1


async def test_unmatched_sessions_store_little_and_one_address_cannot_use_up_the_total(front: Front) -> None:
    for _ in range(MOST_UNMATCHED.amount):
        await front.unmatched(FLOODER)
    assert await front.unmatched(SOMEBODY) == HTTPStatus.NOT_FOUND
    statuses = [await front.unmatched(who) for who in addresses(MOST_UNMATCHED.amount)]
    assert statuses[-1] == HTTPStatus.TOO_MANY_REQUESTS
    assert await front.rows() == MOST_UNMATCHED.amount


async def test_the_browser_sent_to_the_vendor_is_matched_during_a_flood(world: World, front: Front) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    for who in addresses(MOST_UNMATCHED.amount):
        await front.pages._throttle.admits_unmatched(who)
    assert await front.unmatched(SOMEBODY) == HTTPStatus.TOO_MANY_REQUESTS
    session_uri = back.rpartition("session_uri=")[2]
    assert await front.unmatched(SOMEBODY, session_uri, cookie="browser") == HTTPStatus.OK
    assert await front.rows() == 0


@pytest.mark.parametrize(
    "flood", ["unmatched of one address", "unmatched of all", "requests of the address", "of the page"]
)
async def test_a_session_is_rejected_during_a_flood(world: World, front: Front, flood: str) -> None:
    """The victim's browser brings it in the middle of a flood; then the attacker's, which was sent to the vendor."""
    back = world.vendor.approve(await world.start("p_alice", browser="attacker"))
    session_uri = back.rpartition("session_uri=")[2]
    if flood == "of the page":
        for _ in range(MOST_OF_PAGE.amount):
            await front.pages._throttle.admits("203.0.113.9", "GET", session_uri)
    elif flood == "requests of the address":
        await front.flood(SOMEBODY)
    else:
        for who in addresses(MOST_UNMATCHED.amount) if flood == "unmatched of all" else [SOMEBODY] * 140:
            await front.pages._throttle.admits_unmatched(who)
    assert await front.unmatched(SOMEBODY, session_uri) == HTTPStatus.TOO_MANY_REQUESTS
    for who in (FLOODER, SOMEBODY, "203.0.113.9"):
        assert await front.unmatched(who, session_uri, cookie="attacker") in {404, 429}
    assert not (await world.store.connect_attempts.live("p_alice"))[0].code
    assert await front.rows() == 0


async def test_a_flooded_address_still_delivers_a_persons_own_code(world: World, front: Front) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    await front.flood(SOMEBODY)
    assert await front.unmatched(SOMEBODY, back.rpartition("session_uri=")[2], cookie="browser") == HTTPStatus.OK


async def test_a_browser_with_an_attempt_is_unmatched_with_any_other_session(world: World, front: Front) -> None:
    back = world.vendor.approve(await world.start("p_alice"))
    assert await front.unmatched(SOMEBODY, back.rpartition("session_uri=")[2], cookie="browser") == HTTPStatus.OK
    for _ in range(MOST_UNMATCHED_OF_ADDRESS.amount + 5):
        await front.unmatched(SOMEBODY, cookie="browser")
    assert await front.rows() == MOST_UNMATCHED_OF_ADDRESS.amount


def addresses(many: int) -> Iterable[str]:
    return (f"198.51.100.{number}" for number in range(many))
