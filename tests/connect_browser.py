"""A browser without a window: follows a connect link through our pages and the vendor's consent, to the code."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

_CODE = re.compile(r'<p class="code">([A-Z]{4}-[A-Z]{4})</p>')


@asynccontextmanager
async def a_browser(address: str = "", *, serves: asyncio.Event | None = None) -> AsyncIterator[ConnectBrowser]:
    """`address` is the browser's address, as a proxy would report it; empty: no proxy reports it.

    Each step is a new connection, so that behind a load balancer it may reach another node. A page that
    refuses the connection because its service restarts is opened again once it `serves`.
    """
    headers = {"X-Forwarded-For": address} if address else {}
    connector = aiohttp.TCPConnector(force_close=True)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=headers) as session:
        yield ConnectBrowser(session, serves)


class ConnectBrowser:
    """Keeps its cookies. `page` is the text of the current page, `status` its HTTP status, `url` its address."""

    def __init__(self, session: aiohttp.ClientSession, serves: asyncio.Event | None = None) -> None:
        self._session = session
        self._serves = serves
        self.page = ""
        self.status = 0
        self.url = ""

    async def open(self, url: str) -> None:
        """Open a page. Raises aiohttp.ClientError if there is no answer; `url` is then the address that it tried."""
        self.url = url
        async with await self._ask("GET", url) as response:
            await self._show(response)

    async def submit(self, **fields: str) -> None:
        """Submit the page's form and follow its redirects. Raises aiohttp.ClientError, as open()."""
        async with await self._ask("POST", self.url, data=fields, allow_redirects=False) as response:
            onward = response.headers.get("Location")
            if onward is None:
                await self._show(response)
        if onward is not None:
            await self.open(onward)

    async def _ask(self, method: str, url: str, **options: Any) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(method, url, **options)
        except aiohttp.ClientConnectorError:
            if self._serves is None:
                raise
            await self._serves.wait()
            return await self._session.request(method, url, **options)

    async def _show(self, response: aiohttp.ClientResponse) -> None:
        self.page, self.status, self.url = await response.text(), response.status, str(response.url)

    @property
    def code(self) -> str:
        """The code on the page; empty if it shows none."""
        match = _CODE.search(self.page)
        return match[1] if match else ""

    async def to_consent(self, link: str) -> None:
        """Go from the link in the chat to the vendor's page."""
        await self.open(link)
        await self.submit()
        assert "/link/lk_" in self.url, self.page

    async def approve(self) -> str:
        """Approve on the vendor's page. Returns the code that the pages then show."""
        await self.submit(decision="approve")
        return self.code

    async def follow(self, link: str) -> str:
        """Follow the link to its end. Returns the code."""
        await self.to_consent(link)
        return await self.approve()
