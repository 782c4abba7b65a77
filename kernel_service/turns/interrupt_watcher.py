"""Waits for the model or a tool, and cancels the wait when a new message of the person interrupts the turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar, cast

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.interruptions import Requeued

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any, Self

    from kernel_service.kernels.kernel import Kernel

T = TypeVar("T")

RETRY_SECONDS: Final = 1.0
"""The delay of the next check after the store was unavailable."""


@dataclass(slots=True)
class InterruptWatcher:
    """Of one attempt. `check_store` raises an Interruption if a new message ends the attempt."""

    kernel: Kernel
    check_store: Callable[[], Awaitable[None]]
    wakeup: asyncio.Future[None] = field(init=False)
    """Done when a message has come since the last check of the store."""

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.kernel.wakeup = None

    async def check(self) -> None:
        """Call between two steps. Requeued: this kernel must stop. Interruption: a message ends the attempt."""
        if self.kernel.leaving or self.kernel.outdated:
            raise Requeued
        if self.wakeup.done():
            await self.check_interrupts()

    async def wait_for(self, work: Awaitable[T]) -> T:
        """Returns the result of `work`, which is cancelled if a message ends this attempt meanwhile."""
        async with _Interruptible(self):
            return await work

    async def check_interrupts(self) -> None:
        """As check(), whether a message has come or not. The next message wakes again."""
        self._listen()
        if self.kernel.outdated:
            raise Requeued
        await self.check_store()

    def _listen(self) -> None:
        self.kernel.wakeup = self.wakeup = asyncio.get_running_loop().create_future()


class _Interruptible:
    """Checks for messages while the task works inside, and cancels it for one that ends the attempt.

    As with `asyncio.timeout`, the work needs no separate task, and the block raises the reason of the cancellation.
    """

    def __init__(self, watcher: InterruptWatcher) -> None:
        self._watcher = watcher
        self._works = True
        self._checking: asyncio.Task[None] | None = None
        self._found: Exception | None = None
        self._again: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._cancelling = self._task.cancelling()
        self._cancelled = False
        self._watcher.wakeup.add_done_callback(self._woken)

    def _woken(self, _: Any) -> None:
        if self._works:
            self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        try:
            await self._watcher.check_interrupts()
        except StoreUnavailable:  # which says nothing about messages: the next step checks, too
            self._watcher.kernel.wake_turn()
            if self._works:
                self._again = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._woken, None)
        except Exception as found:  # noqa: BLE001 - the block raises it
            self._found = found
            if self._works:
                self._cancelled = self._task.cancel()
        else:
            if self._works:
                self._watcher.wakeup.add_done_callback(self._woken)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._works = False
        self._watcher.wakeup.remove_done_callback(self._woken)
        if self._again is not None:
            self._again.cancel()
        if self._cancelled and self._task.uncancel() > self._cancelling:
            return  # it was cancelled from elsewhere, too
        if self._checking is not None and error is None:
            await self._checking
        if self._checking is not None:
            self._checking.cancel()
        if self._found is not None and (error is None or self._cancelled):
            raise self._found from None
