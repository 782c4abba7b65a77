"""A gateway in this process that can die as if killed with -9: all its work stops at once."""

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
    """`runner` serves it. Its open resources are closed with the world, after the assertions of the tests."""

    runner: web.AppRunner

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @contextmanager
    def its_tasks(self) -> Iterator[None]:
        """Tasks started inside the block belong to the gateway, and so do the tasks that they start."""
        asyncio.get_running_loop().set_task_factory(_task)
        token = _OWNER.set(self)
        try:
            yield
        finally:
            _OWNER.reset(token)

    async def die(self) -> None:
        """Cut its calls and close its port without notice. Requests that the Graph API has received continue there."""
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
