"""The gateway's counters and alerts. No label and no log line names a person."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from kernel_client.acks import Ack
from kernel_client.errors import KernelError
from kernel_client.observer import Observer
from serving.version import VERSION

SECONDS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
"""The upper ends of a histogram's bins."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counters:
    """One counter for each value of a label. The library's own lookup takes a lock each time; `labels` keeps them."""

    labels: Callable[[str], Counter]


@dataclass(frozen=True, slots=True)
class Histograms:
    """One histogram for each value of a label, kept as counters are."""

    labels: Callable[[str], Histogram]


class Metrics(Observer):
    """Counters of one gateway, in its own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("gateway_build", "The release that runs", registry=self.registry).info({"version": VERSION})
        self.webhooks = self._counter("webhooks", "Webhooks by the HTTP status they were answered with", "status")
        self.webhook_seconds = self._histogram("webhook_seconds", "Webhooks, from the head to the answer", "status")
        self.messages = self._counter("messages", "Messages and identity changes, by outcome", "outcome")
        self.receipts = self._counter("receipts", "Statuses of sent parts: reported, retry, refused", "outcome")
        self.ignored = self._counter("ignored", "Webhook items that need no answer", "kind")
        self.alerts = self._counter(
            "alerts", "Alerts for an operator: conflicting identities, accounts, webhook fields", "reason"
        )
        self.account_events = self._counter(
            "account_events", "Events of the WhatsApp account, redeliveries included", "field"
        )
        self.dropped = self._counter("quarantined", "Webhook items dropped permanently", "reason")
        self.kernel_errors = self._counter("kernel_errors", "Errors of the kernel service", "reason")
        self.parts = self._counter("parts", "Parts of replies, by outcome", "outcome")
        self.part_seconds = self._histogram(
            "part_seconds", "Sends of a part, with the wait for the number's rate: sent, refused, ambiguous", "outcome"
        )
        self.graph_errors = self._counter("graph_errors", "Errors of the Graph API", "code")
        self.operator_errors = self._counter(
            "graph_operator_errors", "Errors of the Graph API that need an operator", "code"
        )
        self.typing = self._counter("typing", "Read receipts: shown (with typing), read, failed, dropped", "outcome")
        self.templates = self._counter(
            "templates", "Templates for closed 24-hour windows: sent, failed, not_needed, postponed", "outcome"
        )
        self.media = self._counter(
            "media",
            "Files, by outcome: stored, retry, failed, refused, late; uploaded, not_uploaded, in_words",
            "outcome",
        )
        self.reply_seconds = self._histogram(
            "reply_seconds",
            "From a lease to the last acknowledgement: sent, retry, failed, window_closed, unknown, released, lapsed",
            "outcome",
        )
        self.acks = self._counter("acks", "Acknowledgements, by result", "result")

    def show(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A value that is read for each page of metrics."""
        Gauge(f"gateway_{name}", help_text, registry=self.registry).set_function(value)

    def alert(self, reason: str, text: str) -> None:
        """Alert an operator: a counted reason, and a log line that begins with `alert:`."""
        self.alerts.labels(reason).inc()
        logger.error("alert: %s", text)

    def failed(self, error: KernelError) -> None:
        self.kernel_errors.labels(error.reason).inc()

    def acknowledged(self, ack: Ack, result: str) -> None:  # noqa: ARG002
        self.acks.labels(result).inc()

    def _histogram(self, name: str, help_text: str, label: str) -> Histograms:
        histogram = Histogram(f"gateway_{name}", help_text, [label], registry=self.registry, buckets=SECONDS)
        return Histograms(cache(histogram.labels))

    def _counter(self, name: str, help_text: str, label: str) -> Counters:
        return Counters(cache(Counter(f"gateway_{name}", help_text, [label], registry=self.registry).labels))
