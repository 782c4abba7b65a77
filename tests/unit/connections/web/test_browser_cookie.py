"""Only the pages' own host can identify a browser: a cookie that a sibling host planted is ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from multidict import CIMultiDict

from kernel_service.connections.tokens import new_nonce
from kernel_service.connections.web.browser_cookie import BrowserCookie
from kernel_service.connections.web.connect_pages import ConnectPages
from kernel_service.connections.web.proxies import TrustedProxies
from kernel_service.ports.tools import Person
from tests.unit.composio.fakes import CONNECT_URL
from tests.unit.connections.test_vendor_events import events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import ClientResponse, web

    from tests.unit.composio.fakes import World

    Pages = TestClient[web.Request, web.Application]

PREFIXED, BARE = "__Host-connect_browser", "connect_browser"


@pytest.fixture(params=[False, True], ids=["without_verifier", "with_verifier"])
async def pages(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Pages]:
    """As an https proxy before them asks."""
    world.set_verifier(vendor=request.param, ours=request.param)
    pages = ConnectPages(
        world.consent, events(world), world.store.chats, world.store.people, CONNECT_URL, TrustedProxies()
    )
    async with TestClient(TestServer(pages._app())) as client:
        yield client


class Browser:
    """Sends the cookies that it was given by these pages, and those that others planted."""

    def __init__(self, pages: Pages, *planted: str) -> None:
        self._pages = pages
        self._planted = planted
        self.own = ""
        self.page = ""
        self.location = ""

    async def ask(self, method: str, url: str) -> int:
        parts = urlsplit(url)
        cookies = "; ".join([*self._planted, *([self.own] if self.own else [])])
        headers = {"Cookie": cookies} if cookies else {}
        path = f"{parts.path}?{parts.query}"
        async with self._pages.request(method, path, headers=headers, allow_redirects=False) as answer:
            self._keep(answer)
            self.page = await answer.text()
            return answer.status

    def _keep(self, answer: ClientResponse) -> None:
        self.location = answer.headers.get("Location", "")
        for set_cookie in answer.headers.getall("Set-Cookie", []):
            self.own = set_cookie.partition(";")[0]


async def test_a_planted_cookie_does_not_make_the_victims_browser_the_attackers(world: World, pages: Pages) -> None:
    """The attacker starts, plants the cookie that they were given, and has the victim consent."""
    offer = await world.connect_links.link(Person("p_bob", "test", "desk"), "asana")
    attacker = Browser(pages)
    assert await attacker.ask("GET", offer.link.url) == 200
    assert await attacker.ask("POST", offer.link.url) == 303
    back = world.vendor.approve(attacker.location)
    secret = attacker.own.partition("=")[2]
    victim = Browser(pages, f"{BARE}={secret}", f"{BARE}={new_nonce()}", f"={PREFIXED}={secret}")
    assert await victim.ask("GET", back) in {403, 404}
    assert 'class="code"' not in victim.page
    await attacker.ask("GET", back)
    assert 'class="code"' not in attacker.page
    assert not await world.connections.active("p_bob", "asana")


async def test_a_planted_cookie_does_not_claim_the_victims_link_for_the_attacker(world: World, pages: Pages) -> None:
    offer = await world.connect_links.link(Person("p_alice", "test", "desk"), "asana")
    secret = new_nonce()
    victim = Browser(pages, f"{BARE}={secret}")
    await victim.ask("GET", offer.link.url)
    assert await victim.ask("POST", offer.link.url) == 303
    back = world.vendor.approve(victim.location)
    attacker = Browser(pages, f"{PREFIXED}={secret}")
    assert await attacker.ask("GET", offer.link.url) == 409
    assert await victim.ask("GET", back) == 200
    assert 'class="code"' in victim.page
    assert await attacker.ask("GET", offer.link.url) == 409


async def test_the_cookie_that_a_browser_receives(pages: Pages, world: World) -> None:
    offer = await world.connect_links.link(Person("p_alice", "test", "desk"), "asana")
    async with pages.get(urlsplit(offer.link.url).path) as answer:
        [given] = answer.headers.getall("Set-Cookie")
    name, _, attributes = given.partition("=")
    assert name == PREFIXED
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes.split("; "))
    assert "Domain" not in given


@pytest.mark.parametrize(
    "planted",
    [
        f"{BARE}=planted",
        f"{PREFIXED}=own; {PREFIXED}=planted",
        f"{PREFIXED.upper()}=planted",
        f"__host-{BARE}=planted",
        f"\u2000{PREFIXED}=planted",
        f"\xa0{PREFIXED}=planted",
        f"\x1f{PREFIXED}=planted",
        f"{PREFIXED} =planted",
        f"={PREFIXED}=planted",
        f'$Version=1; "{PREFIXED}"=planted',
        f"a=b,{PREFIXED}=planted",
        f'a="; {PREFIXED}=planted; x="; {PREFIXED}=own',
        f"__Secure-{BARE}=planted",
    ],
)
def test_invalid_cookies_are_ignored(planted: str) -> None:
    request = make_mocked_request("GET", "/", CIMultiDict({"Cookie": planted}))
    assert not BrowserCookie(CONNECT_URL).of(request)


def test_two_headers_are_read_as_one() -> None:
    cookies = CIMultiDict([("Cookie", f"{PREFIXED}=own"), ("Cookie", f"{PREFIXED}=planted")])
    assert not BrowserCookie(CONNECT_URL).of(make_mocked_request("GET", "/", cookies))
    assert (
        BrowserCookie(CONNECT_URL).of(make_mocked_request("GET", "/", CIMultiDict({"Cookie": f"a=b;{PREFIXED}=own"})))
        == "own"
    )


def test_on_this_machines_own_address_it_has_no_prefix() -> None:
    assert BrowserCookie("http://127.0.0.1:8081").name == BARE
