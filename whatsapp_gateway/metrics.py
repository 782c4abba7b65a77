"""What the gateway counts, and what it calls an operator for. No label and no line ever names a person."""

import logging

from prometheus_client import CollectorRegistry, Counter

logger = logging.getLogger(__name__)


class Metrics:
    """Counters of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.webhooks = self._counter("webhooks", "Webhooks by the HTTP status they were answered with", "status")
        self.messages = self._counter("messages", "Messages and changes of identity by what became of them", "outcome")
        self.receipts = self._counter("receipts", "Statuses of sent parts: reported, retry, refused", "outcome")
        self.ignored = self._counter("ignored", "Webhook items that ask nothing of an assistant", "kind")
        self.alerts = self._counter(
            "alerts", "What an operator must look at: identities in conflict, accounts, webhook fields", "reason"
        )
        self.account_events = self._counter(
            "account_events", "What WhatsApp tells of the account, repeats too", "field"
        )
        self.quarantined = self._counter("quarantined", "Webhook items set aside for good", "reason")
        self.refusals = self._counter("kernel_refusals", "Refusals of the kernel service", "reason")
        self.parts = self._counter("parts", "Parts of replies by what became of them", "outcome")
        self.graph_errors = self._counter("graph_errors", "Refusals of the Graph API", "code")
        self.halts = self._counter("graph_halts", "Refusals of the Graph API that an operator must look at", "code")
        self.typing = self._counter("typing", "Read receipts with typing: shown, failed, dropped", "outcome")
        self.templates = self._counter("templates", "Templates to people whose 24-hour window is closed", "outcome")
        self.media = self._counter(
            "media",
            "Files by what became of them: stored, retry, failed, refused, late; uploaded, not_uploaded, in_words",
            "outcome",
        )
        self.acks = self._counter("acks", "Acknowledgements by how they were taken", "result")

    def alert(self, reason: str, told: str) -> None:
        """Call an operator: a counted reason, and a line that begins with `alert:`."""
        self.alerts.labels(reason).inc()
        logger.error("alert: %s", told)

    def _counter(self, name: str, help_text: str, label: str) -> Counter:
        return Counter(f"gateway_{name}", help_text, [label], registry=self.registry)
