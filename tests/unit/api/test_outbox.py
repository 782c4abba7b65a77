from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import outbox_pb2

from kernel_service.api import media, outbox
from kernel_service.errors import CallerError
from kernel_service.ports.outbox import Outcome

SENT = outbox_pb2.DeliverySent()


def part(**changes: Any) -> outbox_pb2.ReplyPart:
    return outbox_pb2.ReplyPart(**{"reply_id": "rp_1", "part": 1, "parts": 2, **changes})


def ack(changes: dict[str, Any] | None = None, **result: Any) -> outbox_pb2.Acknowledgement:
    given = outbox_pb2.PartAcknowledgement(part=part(**changes or {}), split_version="1", **result)
    return outbox_pb2.Acknowledgement(lease_token="t", part=given)


def retry(after: Duration) -> dict[str, Any]:
    return {"retry": outbox_pb2.DeliveryRetry(retry_after=after, error_code="x")}


def test_a_success_names_the_message() -> None:
    read = outbox.part_ack(ack(sent=outbox_pb2.DeliverySent(channel_message_id="wamid.1")))
    assert read is not None
    assert (read.reply_id, read.part, read.parts, read.outcome) == ("rp_1", 1, 2, Outcome.SENT)
    assert (read.token, read.split_version, read.channel_message_id) == ("t", "1", "wamid.1")


@pytest.mark.parametrize(
    ("result", "outcome", "retry_after"),
    [
        (
            {"retry": outbox_pb2.DeliveryRetry(retry_after=Duration(seconds=1, nanos=500_000_000), error_code="x")},
            "retry",
            1.5,
        ),
        ({"retry": outbox_pb2.DeliveryRetry(retry_after=Duration(seconds=-1), error_code="x")}, "retry", 0),
        ({"retry": outbox_pb2.DeliveryRetry(retry_after=Duration(seconds=2**60), error_code="x")}, "retry", 86_400),
        ({"retry": outbox_pb2.DeliveryRetry(error_code="x")}, "retry", None),
        ({"failed": outbox_pb2.DeliveryFailed(error_code="x")}, "failed", None),
        ({"window_closed": outbox_pb2.DeliveryWindowClosed(error_code="x")}, "window_closed", None),
        ({"in_doubt": outbox_pb2.DeliveryInDoubt(error_code="x")}, "unknown", None),
    ],
)
def test_a_failure_determines_the_outcome_and_retry_time(
    result: dict[str, Any], outcome: str, retry_after: float | None
) -> None:
    read = outbox.part_ack(ack(**result))
    assert read is not None
    assert (read.outcome, read.error_code, read.retry_after) == (outcome, "x", retry_after)


@pytest.mark.parametrize(
    "given",
    [
        outbox_pb2.Acknowledgement(),
        outbox_pb2.Acknowledgement(media=outbox_pb2.MediaAcknowledgement(media_id="m")),
        ack(),
        ack({"part": 0}, sent=SENT),
        ack({"part": 3}, sent=SENT),
        ack({"part": 1, "parts": 101}, sent=SENT),
        ack({"reply_id": ""}, sent=SENT),
        ack({"reply_id": "rp_\0"}, sent=SENT),
        ack(sent=outbox_pb2.DeliverySent(channel_message_id="\0")),
        ack(failed=outbox_pb2.DeliveryFailed(error_code="\0")),
    ],
)
def test_an_invalid_acknowledgement_is_none(given: outbox_pb2.Acknowledgement) -> None:
    assert outbox.part_ack(given) is None
    assert media.ack(given) is None


def test_a_receipt_names_its_part_or_the_channels_message() -> None:
    by_part = outbox.part_receipt(outbox_pb2.Receipt(part=part(part=2), reached=outbox_pb2.DELIVERY_STAGE_READ))
    assert by_part is not None
    assert (by_part.reply_id, by_part.part, by_part.parts, by_part.state) == ("rp_1", 2, 2, "read")
    by_id = outbox.part_receipt(
        outbox_pb2.Receipt(channel_message_id="w", window_closed=outbox_pb2.DeliveryWindowClosed(error_code="131047"))
    )
    assert by_id is not None
    assert (by_id.reply_id, by_id.channel_message_id, by_id.state) == ("", "w", "failed")
    assert (by_id.outcome, by_id.error_code) == (Outcome.WINDOW_CLOSED, "131047")


@pytest.mark.parametrize(
    "given",
    [
        outbox_pb2.Receipt(reached=outbox_pb2.DELIVERY_STAGE_READ),
        outbox_pb2.Receipt(part=part(part=0), reached=outbox_pb2.DELIVERY_STAGE_READ),
        outbox_pb2.Receipt(part=part(reply_id="rp_\0"), reached=outbox_pb2.DELIVERY_STAGE_READ),
        outbox_pb2.Receipt(part=part()),
        outbox_pb2.Receipt(part=part(), reached=outbox_pb2.DELIVERY_STAGE_UNSPECIFIED),
        outbox_pb2.Receipt(channel_message_id="\0", reached=outbox_pb2.DELIVERY_STAGE_READ),
    ],
)
def test_an_invalid_receipt_is_none(given: outbox_pb2.Receipt) -> None:
    assert outbox.part_receipt(given) is None


def test_counts_and_credit_have_bounds() -> None:
    assert outbox.max_in_flight(0) == 64
    for wrong in (lambda: outbox.max_in_flight(1001), lambda: outbox.check_count(0, "receipts")):
        with pytest.raises(CallerError):
            wrong()


@pytest.mark.parametrize("at", [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1)])
def test_a_receipt_counts_whatever_its_clock_says(at: Timestamp) -> None:
    given = outbox_pb2.Receipt(part=part(), reached=outbox_pb2.DELIVERY_STAGE_READ, occurred_at=at)
    assert outbox.part_receipt(given) is not None
