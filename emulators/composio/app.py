"""The Composio emulator."""

import random
from collections.abc import Callable

from aiohttp import web

from emulators.config import Config
from emulators.effects import Effects


class Composio:
    def __init__(
        self,
        config: Config,
        effects: Effects,
        url: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None: ...

    def mount(self, app: web.Application) -> None: ...

    async def close(self) -> None: ...
