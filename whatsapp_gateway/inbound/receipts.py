"""Gathers receipts for the kernel service: those of several webhooks share one call."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kernel_client.connection import MOST_AT_ONCE
from kernel_client.errors import KernelError
from kernel_client.gathering import GATHER_SECONDS, Gathering
from whatsapp_gateway.kernel.calls import KernelCalls
from whatsapp_gateway.model.updates import Status

LATE_SECONDS: Final = 1.0
"""A webhook with less time than this gets its own call: the time of a shared call is that of its first deadline."""


@dataclass(slots=True)
class _Webhook:
    """The statuses of one webhook, their deadline (the loop's time), and their result."""

    statuses: Sequence[Status]
    deadline: float
    reported: asyncio.Future[None]


class Receipts:
    """Gathers receipts, and returns each webhook its own result."""

    def __init__(self, kernel: KernelCalls, *, gather_seconds: float = GATHER_SECONDS) -> None:
        self._kernel = kernel
        self._gathering = Gathering(self._begin, most=MOST_AT_ONCE, seconds=gather_seconds)
        self._under_way: set[asyncio.Task[None]] = set()

    async def report(self, statuses: Sequence[Status], timeout: float) -> None:
        """As `KernelCalls.report`, with its errors: after the return they are durable. At most MOST_AT_ONCE.

        Failures are urgent, since a part may have to be sent again, or the number to pause.
        """
        loop = asyncio.get_running_loop()
        webhook = _Webhook(statuses, loop.time() + timeout, loop.create_future())
        if timeout < LATE_SECONDS:
            self._begin([webhook])
        else:
            urgent = any(status.state == "failed" for status in statuses)
            self._gathering.add(webhook, len(statuses), urgent=urgent)
        await webhook.reported

    def _begin(self, webhooks: Sequence[_Webhook]) -> None:
        task = asyncio.create_task(self._hand_over(webhooks))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _hand_over(self, webhooks: Sequence[_Webhook]) -> None:
        deadline, statuses = math.inf, list[Status]()
        for webhook in webhooks:
            deadline = min(deadline, webhook.deadline)
            statuses += webhook.statuses
        try:
            await self._kernel.report(statuses, max(deadline - asyncio.get_running_loop().time(), 0))
        except KernelError as refusal:
            if refusal.retryable or len(webhooks) == 1:
                return _tell(webhooks, refusal)
            # A receipt that the service never accepts must not fail the others.
            for webhook in webhooks:
                await self._hand_over([webhook])
        except Exception as fault:  # noqa: BLE001 - the webhooks wait for an answer, whatever it was
            _tell(webhooks, fault)
        else:
            _tell(webhooks, None)
        return None


def _tell(webhooks: Sequence[_Webhook], problem: Exception | None) -> None:
    for webhook in webhooks:
        if webhook.reported.done():
            continue
        if problem is None:
            webhook.reported.set_result(None)
        else:
            webhook.reported.set_exception(problem)
