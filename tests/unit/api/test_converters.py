"""A malformed request is rejected by the name of its field, and a channel's time is passed on unchanged."""

from __future__ import annotations

import pytest
from kernel.v1 import messages_pb2

from kernel_service.api import converters
from kernel_service.errors import CallerError


def request(seconds: int = 0, nanos: int = 0) -> messages_pb2.HandleMessageRequest:
    payload = messages_pb2.Payload(text="hello")
    payload.sent_at.seconds, payload.sent_at.nanos = seconds, nanos
    return messages_pb2.HandleMessageRequest(user_id="test:ann", message_id="m1", payload=payload)


def test_a_message_keeps_its_channels_time() -> None:
    assert converters.message(request(1_749_416_383, 500_000_000)).payload.sent_at == 1_749_416_383.5
    assert converters.message(request(0)).payload.sent_at == 0  # 1970 is a valid time, too
    unsaid = messages_pb2.HandleMessageRequest(message_id="m1", payload=messages_pb2.Payload(text="hello"))
    assert converters.message(unsaid).payload.sent_at is None


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (5, -7), (5, 2_000_000_000)]
)
def test_an_invalid_time_is_rejected(seconds: int, nanos: int) -> None:
    with pytest.raises(CallerError) as refused:
        converters.message(request(seconds, nanos))
    assert refused.value.reason == "FIELD_INVALID"
