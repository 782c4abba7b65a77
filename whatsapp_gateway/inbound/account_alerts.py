"""Calls an operator for what WhatsApp tells of our account: once for each event, however often it is brought."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.messages import AccountEvent

MOST_REMEMBERED: Final = 1024
REMEMBERED_SECONDS: Final = 8 * 24 * 3600.0
"""WhatsApp brings a webhook again for seven days."""


class AccountAlerts:
    """now is a monotonic clock in seconds."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self._told: OrderedDict[str, float] = OrderedDict()

    def tell(self, event: AccountEvent) -> None:
        """An alert, unless it is one that was told already."""
        now = self._now()
        self._metrics.account_events.labels(event.field).inc()
        if self._told.get(event.key, 0.0) > now:
            return
        self._told[event.key] = now + (event.once_in or REMEMBERED_SECONDS)
        self._told.move_to_end(event.key)
        while len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        self._metrics.alert(event.field, event.told)
