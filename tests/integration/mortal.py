"""A gateway in this process that can die as one that is killed with -9 does: everything of it stops where it is."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web

_Coroutine = Coroutine[Any, Any, Any] | Generator[Any, None, Any]
_OWNER: contextvars.ContextVar[MortalGateway | None] = contextvars.ContextVar("owner", default=None)


class MortalGateway:
    """`runner` serves it. What it holds open is closed with the world, after the tests have looked."""

    runner: web.AppRunner

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def its_tasks(self) -> Iterator[None]:
        """Whatever is started inside is its own, and what that starts in turn."""
        asyncio.get_running_loop().set_task_factory(_task)
        token = _OWNER.set(self)
        try:
            yield
        finally:
            _OWNER.reset(token)

    async def die(self) -> None:
        """Its calls are cut, its port is closed, and nobody is told: what the Graph API has in hand goes on there."""
        for site in list(self.runner.sites):
            await site.stop()
        for connection in self.runner.server.connections if self.runner.server else ():
            if connection.transport is not None:
                connection.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _task(loop: asyncio.AbstractEventLoop, coro: _Coroutine, **options: Any) -> asyncio.Task[Any]:
    task = asyncio.Task(coro, loop=loop, **options)
    owner = _OWNER.get()
    if owner is not None:
        owner.add(task)
    return task
