"""Waits for the model or a tool, and cancels the wait when a new message of the person interrupts the turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from kernel_service.ports.interruptions import HandedBack

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any, Self

    from kernel_service.kernels.kernel import Kernel

T = TypeVar("T")


@dataclass(slots=True)
class InterruptWatcher:
    """Of one attempt. `check_store` raises an Interruption if a new message ends the attempt."""

    kernel: Kernel
    check_store: Callable[[], Awaitable[None]]
    _wakeup: asyncio.Future[None] = field(init=False)

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.kernel.wakeup = None

    async def check(self) -> None:
        """Call between two steps. HandedBack: this kernel must stop. Interruption: a message ends the attempt."""
        if self.kernel.leaving or self.kernel.outdated:
            raise HandedBack
        if self._wakeup.done():
            await self._check_store()

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Returns the result of `work`, which is cancelled if a message ends this attempt meanwhile."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait((task, self._wakeup), return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    await self._check_store()
            return task.result()
        finally:
            if not task.cancel() and not task.cancelled():
                task.exception()  # it ended while its result was no longer wanted

    async def _check_store(self) -> None:
        self._listen()
        if self.kernel.outdated:
            raise HandedBack
        await self.check_store()

    def _listen(self) -> None:
        self.kernel.wakeup = self._wakeup = asyncio.get_running_loop().create_future()
