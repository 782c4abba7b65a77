"""Spans: their ids, their parents, and what an exception leaves in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.traces import Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACE, SPAN = 0xA1 << 120, 0xB2 << 56
PARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
OTHER = f"00-{TRACE + 1:032x}-{SPAN + 1:016x}-01"


class Recorded:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.spans = Spans("test", "one", "", exporter=self._exporter)

    def by_name(self) -> dict[str, ReadableSpan]:
        self.spans.close()
        return {span.name: span for span in self._exporter.get_finished_spans()}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_a_root_has_the_ids_of_its_parent(recorded: Recorded) -> None:
    recorded.spans.root(PARENT, "message", 0.5, channel="chat")
    root = recorded.by_name()["message"]
    assert root.context is not None
    assert (root.context.trace_id, root.context.span_id, root.parent) == (TRACE, SPAN, None)
    assert root.start_time is not None
    assert root.end_time is not None
    assert root.end_time - root.start_time == 500_000_000


def test_spans_are_below_their_parent_and_have_other_ids(recorded: Recorded) -> None:
    recorded.spans.root(PARENT, "message", 0.0)
    with recorded.spans.below(PARENT, "turn", [OTHER]), recorded.spans.within("model"):
        recorded.spans.past(PARENT, "outbox", 0.0)
    spans = recorded.by_name()
    parents = {name: span.parent.span_id for name, span in spans.items() if span.parent}
    turn = spans["turn"]
    assert turn.context is not None
    assert parents == {"turn": SPAN, "outbox": SPAN, "model": turn.context.span_id}
    assert len({span.context.span_id for span in spans.values() if span.context}) == 4
    assert [link.context.trace_id for link in turn.links] == [TRACE + 1]


def test_within_nothing_nothing_is_recorded(recorded: Recorded) -> None:
    with recorded.spans.within("model") as span:
        span.set_attributes({"tokens": 1})
    assert recorded.by_name() == {}


def test_an_exception_is_named_without_its_text(recorded: Recorded) -> None:
    with pytest.raises(ValueError, match="private"), recorded.spans.below(PARENT, "turn"):
        raise ValueError("private words")
    turn = recorded.by_name()["turn"]
    assert dict(turn.attributes or {}) == {"error.type": "ValueError"}
    assert not turn.events
    assert not turn.status.is_ok
    assert turn.status.description is None


def test_a_negative_duration_is_none(recorded: Recorded) -> None:
    recorded.spans.past(PARENT, "outbox", -5.0)
    outbox = recorded.by_name()["outbox"]
    assert outbox.start_time == outbox.end_time
