"""Leases, acknowledgements and receipts between protobuf and the domain."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from kernel.v1 import outbox_pb2

from kernel_service.api import converters
from kernel_service.errors import CallerError
from kernel_service.ports.outbox import AckResult, Outcome, PartAck, PartReceipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.outbox import Lease

DEFAULT_IN_FLIGHT = 64
MOST = 1000
MAX_PARTS = 100

_OUTCOMES = {outbox_pb2.DeliveryOutcome.Value(f"DELIVERY_OUTCOME_{outcome.name}"): outcome for outcome in Outcome}
_RESULTS = {result: outbox_pb2.AckResult.Value(f"ACK_RESULT_{result.name}") for result in AckResult}
_RECEIPT_STATES = {
    outbox_pb2.ReceiptState.Value(f"RECEIPT_STATE_{state.upper()}"): state
    for state in ("sent", "delivered", "read", "played", "failed")
}
_AFTER_FAILURE = {
    outbox_pb2.DELIVERY_OUTCOME_RETRY: Outcome.RETRY,
    outbox_pb2.DELIVERY_OUTCOME_WINDOW_CLOSED: Outcome.WINDOW_CLOSED,
}
_CALLBACK_ID = re.compile(r"(rp_[A-Za-z0-9]+)/([1-9]\d{0,2})/([1-9]\d{0,2})")


def max_in_flight(given: int) -> int:
    if given > MOST:
        raise CallerError("FIELD_INVALID", f"`max_in_flight` is at most {MOST}", field="max_in_flight")
    return given or DEFAULT_IN_FLIGHT


def wants_replies(kinds: Sequence[int]) -> bool:
    return not kinds or outbox_pb2.OUTBOX_ITEM_KIND_REPLY in kinds


def wants_media(kinds: Sequence[int]) -> bool:
    return outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED in kinds


def check_count(count: int, field: str) -> None:
    if not count:
        raise CallerError("FIELD_INVALID", f"`{field}` must hold 1 to {MOST}", field=field)


def leased(lease: Lease, seconds: float) -> outbox_pb2.ReplyDelivery:
    """`seconds`: how long it lasts from now."""
    return outbox_pb2.ReplyDelivery(
        reply=converters.reply(lease.reply),
        user_id=lease.user_id,
        address=lease.address,
        lease_token=lease.token,
        lease_expires_at=converters.timestamp(lease.expires_at),
        sent_parts=lease.sent_parts,
        parts=lease.parts,
        split_version=lease.split_version,
        lease_for=_duration(seconds),
    )


def part_ack(given: outbox_pb2.Acknowledgement) -> PartAck | None:
    """None: it cannot be (an outcome, part or item that is none)."""
    part, outcome = given.reply_part, _OUTCOMES.get(given.outcome)
    if given.WhichOneof("item") != "reply_part" or outcome is None:
        return None
    if not 1 <= part.part <= part.parts <= MAX_PARTS or not part.reply_id:
        return None
    if "\0" in part.reply_id + part.split_version + given.channel_message_id + given.error_code:
        return None
    return PartAck(
        reply_id=part.reply_id,
        part=part.part,
        parts=part.parts,
        split_version=part.split_version,
        token=given.lease_token,
        outcome=outcome,
        channel_message_id=given.channel_message_id,
        retry_after=_seconds(given.retry_after) if given.HasField("retry_after") else None,
        error_code=given.error_code,
    )


def _duration(seconds: float) -> Duration:
    given = Duration()
    given.FromTimedelta(timedelta(seconds=seconds))
    return given


def _seconds(given: Duration) -> float:
    return given.ToNanoseconds() / 1e9


def ack_result(result: AckResult) -> outbox_pb2.AckResult.ValueType:
    return _RESULTS[result]


def part_receipt(given: outbox_pb2.Receipt) -> PartReceipt | None:
    """None: it names nothing of ours."""
    state = _RECEIPT_STATES.get(given.state)
    found = _CALLBACK_ID.fullmatch(given.callback_id)
    if state is None or not (found or given.channel_message_id):
        return None
    if "\0" in given.channel_message_id + given.error_code:
        return None
    reply_id, part, parts = found.groups() if found else ("", "0", "0")
    return PartReceipt(
        reply_id=reply_id,
        part=int(part),
        parts=int(parts),
        channel_message_id=given.channel_message_id,
        state=state,
        error_code=given.error_code,
        occurred_at=given.occurred_at.ToMicroseconds() / 1e6,
        outcome=_AFTER_FAILURE.get(given.outcome, Outcome.FAILED),
        retry_after=_seconds(given.retry_after) if given.HasField("retry_after") else None,
    )
