"""`python -m benchmarks.traces`: the CPU time that the traces of a plain message cost a kernel service, on and off."""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from kernel_service.ports.messages import Answer, Message, MessageStatus, Reply, ReplyMode, StoredReply
from kernel_service.ports.outbox import Lease
from kernel_service.ports.payloads import Payload, Text
from kernel_service.ports.traces import NoTraces
from kernel_service.ports.turns import Turn, TurnMessage
from kernel_service.tracing.message_traces import MessageTraces
from serving.traces import Spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from kernel_service.ports.traces import Traces

ROUNDS: Final = 40
MESSAGES: Final = 400
"""Per round. Their spans fit into the exporter's queue, so that none is dropped."""


class _Encoding(SpanExporter):
    """Encodes the spans, as OTLP's exporter does, and sends them nowhere."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415

        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def cost(traces: Traces, spans: Spans | None = None) -> float:
    """Microseconds of CPU time per message."""
    payload = Payload(Text("hello"))
    message = Message("chat:1", "m-1", payload, reply_mode=ReplyMode.OUTBOX)
    answer = Answer("", MessageStatus.ACCEPTED, duplicate=False, person_id="p_1")
    turn = Turn("t_1", "p_1", [TurnMessage(1, "m-1", "chat", "", payload, 0.0)], begun=False)
    reply = StoredReply("rp_1", "t_1", "m-1", 0.0, Reply("hello"))
    lease = Lease(reply, "p_1", "chat:1", "", "token", 0.0, [], 0, "")
    began = time.process_time()
    for _ in range(MESSAGES):
        traces.handled(message, answer, 0.01)
        with traces.turn(turn):
            if spans is not None:
                with spans.within("model", model="m") as span:
                    span.set_attributes({"input_tokens": 1, "cached_input_tokens": 1, "output_tokens": 1, "calls": 0})
        traces.leased(lease, "chat", 0.01)
    if spans is not None:
        spans.close()
    return (time.process_time() - began) / MESSAGES * 1e6


def _on(share: float) -> float:
    spans = Spans("kernel_service", "k_1", "", exporter=_Encoding())
    return cost(MessageTraces(spans, bytes(32), share), spans)


def main() -> None:
    rows = {
        "off": [cost(NoTraces()) for _ in range(ROUNDS)],
        "on, none of the messages": [_on(0.0) for _ in range(ROUNDS)],
        "on, every message": [_on(1.0) for _ in range(ROUNDS)],
    }
    for name, costs in rows.items():
        sys.stdout.write(f"{name:26} {median(costs):7.1f} µs\n")


if __name__ == "__main__":
    main()
