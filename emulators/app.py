"""All emulators on one port: in a separate process (`python -m emulators`) or inside a test."""

import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from emulators.composio.app import Composio
from emulators.config import Config
from emulators.control import require_json
from emulators.effects import Effects
from emulators.openai.app import OpenAI
from emulators.own_hosts import OwnHosts
from emulators.passing_time import PassingTime
from emulators.whatsapp.app import WhatsApp
from serving.emulated_clock import EmulatedClock


class Emulator(Protocol):
    """The emulator of one vendor. mount() adds its paths, also /control/<vendor>/…; close() ends its work."""

    def mount(self, app: web.Application) -> None: ...

    async def close(self) -> None: ...


class Emulators:
    """The running emulators. Tests use `openai`, `composio` and `whatsapp`, and read `effects`.

    `clock` is the one that the kernel service follows, if there is one. `time` lets it pass, as the page does.
    """

    def __init__(self, config: Config, url: str, wall: Callable[[], float], rng: random.Random) -> None:
        self.config = config
        self.url = url
        self.clock = EmulatedClock(config.kernel_emulated_clock) if config.kernel_emulated_clock else None
        clock = self.clock.over(wall) if self.clock else wall
        self.time = PassingTime(self.clock, clock) if self.clock else None
        file = Path(config.emulators_effects_file) if config.emulators_effects_file else None
        self.effects = Effects(clock=clock, file=file)
        self.openai = OpenAI(config, self.effects, url, clock=clock, rng=rng)
        self.composio = Composio(config, self.effects, url, clock=clock, rng=rng)
        self.whatsapp = WhatsApp(config, self.effects, url, clock=clock, rng=rng, time=self.time, watched=self._watched)
        self._vendors: list[Emulator] = [self.openai, self.composio, self.whatsapp]

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        config: Config | None = None,
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> AsyncIterator["Emulators"]:
        """Serve until the block ends. Without a config it uses a free port on loopback and the emulated keys."""
        config = config or Config(emulators_listen="127.0.0.1:0")
        # Bind the port first: the links that the emulators create contain their address.
        listener = _listen(config)
        host = config.emulators_listen.rpartition(":")[0]
        url = config.emulators_public_url.rstrip("/") or f"http://{host}:{listener.getsockname()[1]}"
        emulators = cls(config, url, clock, rng or random.Random())
        runner = web.AppRunner(emulators.application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        try:
            yield emulators
        finally:
            for vendor in emulators._vendors:
                await vendor.close()
            await runner.cleanup()
            emulators.effects.close()

    def application(self) -> web.Application:
        config = self.config
        hosts = OwnHosts(config.emulators_listen, [config.emulators_public_url], config.hosts)
        middlewares = [hosts.middleware(), *([self.time.middleware()] if self.time else [])]
        app = web.Application(client_max_size=64 * 2**20, middlewares=middlewares)
        app.router.add_get("/effects", self._effects)
        app.router.add_post("/effects", self._note)
        for vendor in self._vendors:
            vendor.mount(app)
        return app

    def _watched(self, person: str) -> list[dict[str, Any]]:
        """The triggers of a person, who is Composio's user of this id: {event, settings}."""
        theirs = (each for each in self.composio.triggers if each.account.user_id == person)
        return [{"event": each.type.name, "settings": str(each.config.get("query", ""))} for each in theirs]

    async def _effects(self, request: web.Request) -> web.Response:
        """The effects numbered above `after`. With `wait`, waits up to that many seconds for the first one."""
        after, wait = request.query.get("after", "0"), request.query.get("wait", "0")
        if not after.isdecimal():
            raise web.HTTPBadRequest(text="after: must be the number of the last effect that you know")
        if not wait.isdecimal():
            raise web.HTTPBadRequest(text="wait: must be whole seconds")
        with suppress(TimeoutError):
            await self.effects.wait_for(lambda _: True, timeout=int(wait), after=int(after))
        return web.json_response([asdict(effect) for effect in self.effects.all(after=int(after))])

    async def _note(self, request: web.Request) -> web.Response:
        """Record an action of a test on the services ({kind, key?, …}) as an effect, in order."""
        require_json(request)
        try:
            effect = self.effects.record(**await request.json())
        except (TypeError, ValueError) as problem:
            raise web.HTTPBadRequest(text=str(problem)) from None
        return web.json_response(asdict(effect), status=201)


def _listen(config: Config) -> socket.socket:
    """[::] is every interface, also of IPv4."""
    host = config.address[0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server(config.address, family=family, dualstack_ipv6=host == "::")
