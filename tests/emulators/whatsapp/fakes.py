"""A small correct gateway, a caller of the Graph API, and a clock that tests advance."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

NUMBER = "106540352242922"
SECRET = b"emulated-app-secret"
AUTHORIZATION = "Bearer emulated-access-token"


@dataclass
class Post:
    raw: bytes
    headers: dict[str, str]

    @property
    def values(self) -> list[dict[str, Any]]:
        return [change["value"] for entry in json.loads(self.raw)["entry"] for change in entry["changes"]]

    @property
    def signed(self) -> bool:
        expected = "sha256=" + hmac.new(SECRET, self.raw, hashlib.sha256).hexdigest()
        return self.headers["X-Hub-Signature-256"] == expected


@dataclass
class Gateway:
    """Receives webhooks. It answers with the statuses in `answers` first, then with 200."""

    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    on_message: Callable[[dict[str, Any]], Awaitable[None]] | None = None
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, request: web.Request) -> web.Response:
        post = Post(await request.read(), dict(request.headers))
        answer = self.answers.pop(0) if self.answers else 200
        async with self._came:
            self.posts.append(post)
            self._came.notify_all()
        if answer == 200 and self.on_message:
            for value in post.values:
                for message in value.get("messages", []):
                    await self.on_message(message)
        return web.Response(status=answer)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Self, str]]:
        """Serve on a free port. Yields the webhook's address."""
        app = web.Application()
        app.router.add_get("/webhook", self.challenge)
        app.router.add_post("/webhook", self.take)
        async with TestServer(app) as server:
            yield self, str(server.make_url("/webhook"))

    async def challenge(self, request: web.Request) -> web.Response:
        if request.query["hub.verify_token"] != "emulated-verify-token":
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    def messages(self) -> list[dict[str, Any]]:
        return [found for post in self.posts for value in post.values for found in value.get("messages", [])]

    def statuses(self) -> list[dict[str, Any]]:
        return [found for post in self.posts for value in post.values for found in value.get("statuses", [])]

    async def wait_until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(seen)


@dataclass
class Graph:
    """Calls the Graph API as a gateway does."""

    session: aiohttp.ClientSession
    base: str

    async def post(
        self,
        body: Any,
        *,
        token: str = AUTHORIZATION,
        path: str = f"/v26.0/{NUMBER}/messages",
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": token} if token else {}
        async with self.session.post(f"{self.base}/graph{path}", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def text(self, body: str, **address: str) -> tuple[int, dict[str, Any]]:
        return await self.post({"messaging_product": "whatsapp", "text": {"body": body}} | address)
