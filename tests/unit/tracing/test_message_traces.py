"""The ids of traces, and which messages are traced."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kernel_service.tracing.message_traces import MessageTraces

SPANS: Any = None
SECRET = bytes(range(32))


def parent(person_id: str = "p_1", channel: str = "chat", message_id: str = "1", secret: bytes = SECRET) -> str:
    return MessageTraces(SPANS, secret, 1.0).parent_of(person_id, channel, message_id)


def test_a_parent_has_the_form_of_a_traceparent() -> None:
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent())


def test_each_node_derives_the_same_parent() -> None:
    assert parent() == parent()


@pytest.mark.parametrize(
    "other",
    [
        {"person_id": "p_2"},
        {"channel": "chat2"},
        {"message_id": "2"},
        {"secret": bytes(32)},
        {"channel": "cha", "message_id": "t1"},
        {"message_id": "1\0"},
        {"message_id": ""},
        {"message_id": "é" * 5000},
    ],
)
def test_another_message_has_another_parent(other: dict[str, Any]) -> None:
    first, second = parent().split("-"), parent(**other).split("-")
    assert first[1] != second[1]
    assert first[2] != second[2]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_the_share_of_messages_is_traced(share: float) -> None:
    traces = MessageTraces(SPANS, SECRET, share)
    traced = sum(bool(traces.parent_of("p_1", "chat", str(number))) for number in range(2000))
    assert traced == pytest.approx(2000 * share, abs=100 if 0 < share < 1 else 0)
