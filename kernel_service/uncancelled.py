"""Work that continues to its end even if its caller gives up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Uncancelled:
    """For steps that must follow a commit: a deadline or a lost caller ends only the wait."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[Any]] = set()  # the event loop itself keeps only weak references

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self.start(work))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task
