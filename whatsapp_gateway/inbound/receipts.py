"""Batches receipts for the kernel service: those of several webhooks share one call."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whatsapp_gateway.kernel.client import MOST_AT_ONCE, KernelClient
from whatsapp_gateway.kernel.errors import KernelCallError
from whatsapp_gateway.model.updates import Status

GATHER_SECONDS: Final = 0.02
"""How long the first receipt waits for others. Each answer brings at least two receipts, and none is urgent."""


@dataclass(slots=True)
class _Part:
    """The statuses of one webhook, their deadline (the loop's time), and their result."""

    statuses: Sequence[Status]
    deadline: float
    reported: asyncio.Future[None]


class Receipts:
    """Gathers receipts, and returns each webhook its own result."""

    def __init__(self, kernel: KernelClient, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self._kernel = kernel
        self._gather_seconds = gather_seconds
        self._gathered: list[_Part] = []
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def report(self, statuses: Sequence[Status], timeout: float) -> None:
        """As `KernelClient.report`, with its errors: after the return they are durable. At most MOST_AT_ONCE."""
        loop = asyncio.get_running_loop()
        part = _Part(statuses, loop.time() + timeout, loop.create_future())
        if sum(len(other.statuses) for other in self._gathered) + len(statuses) > MOST_AT_ONCE:
            self._send()
        self._gathered.append(part)
        if self._timer is None:
            self._timer = loop.call_later(self._gather_seconds, self._send)
        await part.reported

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        parts, self._gathered, self._timer = self._gathered, [], None
        task = asyncio.create_task(self._hand_over(parts))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _hand_over(self, parts: Sequence[_Part]) -> None:
        try:
            await self._call(parts)
        except KernelCallError as refusal:
            if not refusal.final or len(parts) == 1:
                return _tell(parts, refusal)
            # A receipt that the service never accepts must not fail the others.
            for part in parts:
                await self._hand_over([part])
        except Exception as fault:  # noqa: BLE001 - the webhooks wait for an answer, whatever it was
            _tell(parts, fault)
        else:
            _tell(parts, None)
        return None

    async def _call(self, parts: Sequence[_Part]) -> None:
        remaining = min(part.deadline for part in parts) - asyncio.get_running_loop().time()
        await self._kernel.report([status for part in parts for status in part.statuses], max(remaining, 0))


def _tell(parts: Sequence[_Part], problem: Exception | None) -> None:
    for part in parts:
        if part.reported.done():
            continue
        if problem is None:
            part.reported.set_result(None)
        else:
            part.reported.set_exception(problem)
