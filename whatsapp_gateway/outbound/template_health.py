"""Whether WhatsApp takes a template now. A refused one is not tried again for each person, but once in a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from whatsapp_gateway.graph.advice import advice
from whatsapp_gateway.metrics import Metrics

PAUSE_SECONDS: Final = 3600.0
"""WhatsApp pauses a template for three hours, then for six. A refused send costs nothing."""


class TemplateHealth:
    """Of one template, as this process knows it. now is a monotonic clock in seconds.

    One alert per outage, which ends when WhatsApp takes the template.
    """

    def __init__(self, name: str, metrics: Metrics, now: Callable[[], float]) -> None:
        self._name = name
        self._metrics = metrics
        self._now = now
        self._paused_until = now()
        self._works = False
        self._is_alerted = False
        self._trial = asyncio.Lock()

    @property
    def pause(self) -> float:
        """Seconds for which it is not sent; 0: it may be sent."""
        return max(self._paused_until - self._now(), 0.0)

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[bool]:
        """Whether it may be sent in this block, which reports the result. Until it works, one attempt at a time."""
        async with AsyncExitStack() as trial:
            if not self._works:
                await trial.enter_async_context(self._trial)
            if self._works:
                await trial.aclose()
            yield not self.pause

    def accepted(self) -> None:
        self._works, self._is_alerted = True, False

    def resume(self) -> None:
        """The pause is over."""
        self._paused_until = self._now()

    def refused(self, code: str) -> None:
        """WhatsApp does not take it: alert the operator, and pause."""
        self._works = False
        self._paused_until = self._now() + PAUSE_SECONDS
        if not self._is_alerted:
            self._is_alerted = True
            self._metrics.alert("template", f"WhatsApp refuses template {self._name}: error {code}: {advice(code)}")
