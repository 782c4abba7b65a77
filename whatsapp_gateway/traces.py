"""The gateway's part of a message's trace. Each parent comes from the kernel service; empty: not traced."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from serving.traces import Spans

_NOTHING: Final = nullcontext()


class Traces:
    """`spans` is None while traces are off."""

    def __init__(self, spans: Spans | None = None) -> None:
        self._spans = spans

    def accepted(self, parent: str, lasted: float) -> None:
        """Record that a message was accepted after `lasted` seconds."""
        if parent and self._spans:
            self._spans.past(parent, "accept", lasted)

    def sending(self, parent: str, part: int) -> AbstractContextManager[object]:
        """A span around one attempt to send a part of a reply."""
        return self._spans.below(parent, "send", part=part) if parent and self._spans else _NOTHING


def traces(endpoint: str, instance_id: str) -> tuple[Traces, Spans | None]:
    """OpenTelemetry is imported here only, if `endpoint` is set. The spans are to be closed."""
    if not endpoint:
        return Traces(), None
    from serving.traces import Spans  # noqa: PLC0415

    spans = Spans("whatsapp_gateway", instance_id, endpoint)
    return Traces(spans), spans
