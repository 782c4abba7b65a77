"""Alerts an operator to events of our WhatsApp account: once for each event, however often it is delivered."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.updates import AccountEvent

MOST_REMEMBERED: Final = 1024
REMEMBERED_SECONDS: Final = 8 * 24 * 3600.0
"""WhatsApp redelivers a webhook for seven days."""


class AccountAlerts:
    """now is a monotonic clock in seconds."""

    def __init__(self, metrics: Metrics, now: Callable[[], float]) -> None:
        self._metrics = metrics
        self._now = now
        self._alerted_until: OrderedDict[str, float] = OrderedDict()

    def alert_once(self, event: AccountEvent) -> None:
        """Alert, unless this event was alerted before."""
        now = self._now()
        self._metrics.account_events.labels(event.field).inc()
        if self._alerted_until.get(event.key, 0.0) > now:
            return
        self._alerted_until[event.key] = now + (event.repeat_seconds or REMEMBERED_SECONDS)
        self._alerted_until.move_to_end(event.key)
        while len(self._alerted_until) > MOST_REMEMBERED:
            self._alerted_until.popitem(last=False)
        self._metrics.alert(event.field, event.text)
