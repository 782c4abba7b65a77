"""Work that goes on to its end although its caller gives up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class Uncancelled:
    """For steps that follow a commit and must not be left out: a deadline or a lost caller ends only the waiting."""

    def __init__(self) -> None:
        self._working: set[asyncio.Task[Any]] = set()  # the event loop itself keeps only weak references

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return await asyncio.shield(task)
