from __future__ import annotations

from typing import Any

import pytest
from kernel.v1 import outbox_pb2

from kernel_service.api import outbox
from kernel_service.errors import CallerError
from kernel_service.ports.outbox import Outcome


def ack(**changes: Any) -> outbox_pb2.Acknowledgement:
    part = outbox_pb2.ReplyPart(
        **{"reply_id": "rp_1", "part": 1, "parts": 2, "split_version": "1", **changes.pop("part", {})}
    )
    given = {"lease_token": "t", "outcome": outbox_pb2.DELIVERY_OUTCOME_SENT, **changes}
    return outbox_pb2.Acknowledgement(reply_part=part, **given)


def test_an_acknowledgement_is_read() -> None:
    given = ack(channel_message_id="wamid.1")
    given.retry_after.FromMilliseconds(1500)
    read = outbox.part_ack(given)
    assert read is not None
    assert (read.reply_id, read.part, read.parts, read.outcome) == ("rp_1", 1, 2, Outcome.SENT)
    assert (read.token, read.channel_message_id, read.retry_after) == ("t", "wamid.1", 1.5)


@pytest.mark.parametrize(
    "given",
    [
        outbox_pb2.Acknowledgement(),
        outbox_pb2.Acknowledgement(media_id="m", outcome=outbox_pb2.DELIVERY_OUTCOME_FAILED),
        ack(outcome=outbox_pb2.DELIVERY_OUTCOME_UNSPECIFIED),
        ack(outcome=99),
        ack(part={"part": 0}),
        ack(part={"part": 3}),
        ack(part={"part": 1, "parts": 101}),
        ack(part={"reply_id": ""}),
        ack(part={"reply_id": "rp_\0"}),
        ack(channel_message_id="\0"),
    ],
)
def test_an_acknowledgement_that_cannot_be(given: outbox_pb2.Acknowledgement) -> None:
    assert outbox.part_ack(given) is None


def test_a_receipt_names_its_part_by_callback_or_by_the_channel_s_id() -> None:
    by_callback = outbox.part_receipt(
        outbox_pb2.Receipt(callback_id="rp_01ABC/2/3", state=outbox_pb2.RECEIPT_STATE_READ)
    )
    assert by_callback is not None
    assert (by_callback.reply_id, by_callback.part, by_callback.parts, by_callback.state) == ("rp_01ABC", 2, 3, "read")
    by_id = outbox.part_receipt(
        outbox_pb2.Receipt(callback_id="another's", channel_message_id="w", state=outbox_pb2.RECEIPT_STATE_SENT)
    )
    assert by_id is not None
    assert (by_id.reply_id, by_id.channel_message_id) == ("", "w")


@pytest.mark.parametrize("callback_id", ["", "rp_1", "rp_1/0/1", "rp_1/1/1000", "rp_1/1/1/1", "other/1/1", "rp_1/-1/1"])
def test_a_receipt_that_names_nothing(callback_id: str) -> None:
    receipt = outbox_pb2.Receipt(callback_id=callback_id, state=outbox_pb2.RECEIPT_STATE_READ)
    assert outbox.part_receipt(receipt) is None


def test_counts_and_credit_have_bounds() -> None:
    assert outbox.max_in_flight(0) == 64
    for wrong in (lambda: outbox.max_in_flight(1001), lambda: outbox.check_count(0, "receipts")):
        with pytest.raises(CallerError):
            wrong()
