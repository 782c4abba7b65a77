"""Spans by OpenTelemetry. Imported only while traces are on.

Spans belong to messages, whose traces are named by W3C's `traceparent`: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from serving.logs import about

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util.types import AttributeValue

EXPORT_SECONDS: Final = 1.0
"""How long the export of a batch may take, also at the end of the process. Later spans are dropped."""
_NONE: Final = (0, 0)
_root_ids: ContextVar[tuple[int, int]] = ContextVar("root_ids", default=_NONE)
"""The trace id and the span id of the root span that is being created."""


class _Ids(RandomIdGenerator):
    """Random ids, except a root's: every process derives them from the message."""

    def generate_trace_id(self) -> int:
        return _root_ids.get()[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return _root_ids.get()[1] or super().generate_span_id()


class Spans:
    """The spans of one process. `process` names it among its like. `exporter`: by default OTLP over gRPC."""

    def __init__(self, service: str, process: str, endpoint: str, *, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": service, "service.instance.id": process})
        # Whether a message is traced is decided once, where it is accepted.
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, id_generator=_Ids())
        self._provider.add_span_processor(BatchSpanProcessor(exporter or _exporter(endpoint)))
        self._tracer = self._provider.get_tracer("kernel-per-person")

    def close(self) -> None:
        """Send what is left. It blocks, at most about `EXPORT_SECONDS`."""
        self._provider.shutdown()

    def root(self, parent: str, name: str, lasted: float, **attributes: AttributeValue) -> None:
        """Record the span to which `parent` refers: it ends now and took `lasted` seconds."""
        reset = _root_ids.set(_ids(parent))
        try:
            self._record(Context(), name, lasted, attributes)
        finally:
            _root_ids.reset(reset)

    def past(self, parent: str, name: str, lasted: float, **attributes: AttributeValue) -> None:
        """Record a span below `parent` that ends now and took `lasted` seconds."""
        self._record(_below(parent), name, lasted, attributes)

    def _record(self, context: Context, name: str, lasted: float, attributes: dict[str, AttributeValue]) -> None:
        ended = time.time_ns()
        began = ended - max(0, int(lasted * 1e9))
        self._tracer.start_span(name, context, attributes=attributes, start_time=began).end(ended)

    @contextmanager
    def below(
        self, parent: str, name: str, beside: Iterable[str] = (), **attributes: AttributeValue
    ) -> Iterator[trace.Span]:
        """A span below `parent` around the block, with links to other traces."""
        links = [trace.Link(_context(each)) for each in beside]
        with about(trace=parent.split("-")[1]), self._around(name, _below(parent), links, attributes) as span:
            yield span

    @contextmanager
    def within(self, name: str, **attributes: AttributeValue) -> Iterator[trace.Span]:
        """A span around the block, below the current one. Without a current one nothing is recorded."""
        if not trace.get_current_span().is_recording():
            yield trace.INVALID_SPAN
            return
        with self._around(name, None, [], attributes) as span:
            yield span

    @contextmanager
    def _around(
        self, name: str, context: Context | None, links: Sequence[trace.Link], attributes: dict[str, AttributeValue]
    ) -> Iterator[trace.Span]:
        """It names only the kind of an exception: the text may hold what a person said."""
        span = self._tracer.start_span(name, context, links=links, attributes=attributes)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                if isinstance(error, Exception):
                    span.set_status(trace.StatusCode.ERROR)
                raise


def _exporter(endpoint: str) -> SpanExporter:
    return OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https:"), timeout=EXPORT_SECONDS)


def _ids(parent: str) -> tuple[int, int]:
    _, trace_id, span_id, _ = parent.split("-")
    return int(trace_id, 16), int(span_id, 16)


def _context(parent: str) -> trace.SpanContext:
    return trace.SpanContext(*_ids(parent), is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))


def _below(parent: str) -> Context:
    return trace.set_span_in_context(trace.NonRecordingSpan(_context(parent)), Context())
