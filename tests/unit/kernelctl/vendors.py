"""A set-up whose vendors are the emulators, with keys that are not published, and a gateway that Meta calls."""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from emulators.app import Emulators
from emulators.config import Config
from kernelctl.checks.all_checks import named
from kernelctl.checks.check import run_all
from kernelctl.checks.setup import Setup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kernelctl.checks.results import Result

NUMBER = "106540352242922"
SECRETS = {
    "WHATSAPP_ACCESS_TOKEN": "EAAG4vWq81xTokenOfTheChecks",
    "WHATSAPP_APP_SECRET": "5f0c1a7be34d92866a01c3d7",
    "WHATSAPP_VERIFY_TOKEN": "verify-4c1b9d27e8",
    "OPENAI_API_KEY": "sk-proj-9aKd72mQzTest",
    "COMPOSIO_API_KEY": "ak_9f2LmTest",
    "COMPOSIO_WEBHOOK_SECRET": "whsec_81dkQp27sLm4",
}


class Vendors:
    """`values` are the settings; a test changes them before it runs a check."""

    def __init__(self, emulators: Emulators, folder: Path) -> None:
        self.emulators = emulators
        self.folder = folder
        self.clock = time.time
        self.values = SECRETS | {
            "WHATSAPP_PHONE_NUMBER_ID": NUMBER,
            "WHATSAPP_API_BASE_URL": f"{emulators.url}/graph",
            "WHATSAPP_TEMPLATE": "waiting:en_US",
            "WHATSAPP_REMINDER_TEMPLATE": "reminder:en_US",
            "OPENAI_BASE_URL": f"{emulators.url}/openai/v1",
            "COMPOSIO_BASE_URL": f"{emulators.url}/composio",
            "CONNECT_PUBLIC_URL": "https://connect.example.com",
            "KERNEL_TOOLKITS": "asana,gmail",
        }

    def setup(self, **more: Any) -> Setup:
        return Setup(self.values, self.folder, clock=self.clock, **more)

    async def check(self, *names: str, **more: Any) -> list[Result]:
        """The results of the checks whose names begin so. No text of them contains a secret."""
        reports = await run_all(named(*names), self.setup(**more))
        results = [result for report in reports for result in report.results]
        for result in results:
            told = f"{result.text} {result.why} {result.fix}"
            assert not [name for name, secret in SECRETS.items() if secret in told]
            assert NUMBER not in told
        return results

    async def finding(self, *names: str, **more: Any) -> Result:
        """The only finding of these checks. It says why it matters, and what to do."""
        [found] = [result for result in await self.check(*names, **more) if result.status.is_finding]
        assert found.why
        assert found.fix
        return found


@asynccontextmanager
async def vendors(folder: Path) -> AsyncIterator[Vendors]:
    config = Config.model_validate(
        {"emulators_listen": "127.0.0.1:0"} | {name.lower(): value for name, value in SECRETS.items()}
    )
    async with Emulators.start(config) as emulators:
        emulators.composio.events.url = "https://connect.example.com/connect/events"
        yield Vendors(emulators, folder)


class FakeGateway:
    """Answers as the gateway's webhook does."""

    def __init__(self) -> None:
        self.verify_token = SECRETS["WHATSAPP_VERIFY_TOKEN"]
        self.secret = SECRETS["WHATSAPP_APP_SECRET"]
        self.answers: int | None = None
        self.checks_signature = True
        self.location = ""

    async def verify(self, request: web.Request) -> web.Response:
        if self.answers is not None:
            return web.Response(status=self.answers, headers={"Location": self.location} if self.location else {})
        if request.query["hub.verify_token"] != self.verify_token:
            return web.Response(status=403)
        return web.Response(text=request.query["hub.challenge"])

    async def receive(self, request: web.Request) -> web.Response:
        raw = await request.read()
        expected = "sha256=" + hmac.new(self.secret.encode(), raw, hashlib.sha256).hexdigest()
        is_signed = request.headers.get("X-Hub-Signature-256") == expected
        return web.Response(status=200 if is_signed or not self.checks_signature else 401)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its URL."""
        app = web.Application()
        app.router.add_get("/webhook", self.verify)
        app.router.add_post("/webhook", self.receive)
        async with TestServer(app) as server:
            yield str(server.make_url("/webhook"))
