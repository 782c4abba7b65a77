"""What is malformed is refused by the name of its field, and a time of a channel comes through as it is."""

from __future__ import annotations

import pytest
from kernel.v1 import messages_pb2

from kernel_service.api import converters
from kernel_service.errors import CallerError


def request(seconds: int = 0, nanos: int = 0) -> messages_pb2.HandleMessageRequest:
    payload = messages_pb2.Payload(text="hello")
    payload.sent_at.seconds, payload.sent_at.nanos = seconds, nanos
    return messages_pb2.HandleMessageRequest(user_id="test:ann", message_id="m1", payload=payload)


def test_a_message_is_as_old_as_its_channel_says() -> None:
    assert converters.message(request(1_749_416_383, 500_000_000)).payload.sent_at == 1_749_416_383.5
    assert converters.message(request(0)).payload.sent_at == 0  # 1970 is a time, too
    unsaid = messages_pb2.HandleMessageRequest(message_id="m1", payload=messages_pb2.Payload(text="hello"))
    assert converters.message(unsaid).payload.sent_at is None


@pytest.mark.parametrize(
    ("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (253_402_300_800, 0), (5, -7), (5, 2_000_000_000)]
)
def test_what_is_no_time_is_refused(seconds: int, nanos: int) -> None:
    with pytest.raises(CallerError) as refused:
        converters.message(request(seconds, nanos))
    assert refused.value.reason == "FIELD_INVALID"
