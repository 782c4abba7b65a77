"""Converts leases, acknowledgements and receipts between protobuf and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kernel.v1 import outbox_pb2

from kernel_service.api import converters
from kernel_service.errors import CallerError
from kernel_service.ports.outbox import AckResult, Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.outbox import Lease
    from kernel_service.ports.typing import TypingItem

    Failed = outbox_pb2.PartAcknowledgement | outbox_pb2.MediaAcknowledgement | outbox_pb2.Receipt

DEFAULT_IN_FLIGHT = 64
MOST = 1000
MAX_PARTS = 100
DEFAULT_TYPING_INTERVAL = 5.0
TYPING_INTERVALS = (1.0, 60.0)
"""Minimum and maximum in seconds."""

MOST_WAIT_SECONDS = 86_400.0

_OUTCOMES = {
    "sent": Outcome.SENT,
    "retry": Outcome.RETRY,
    "failed": Outcome.FAILED,
    "window_closed": Outcome.WINDOW_CLOSED,
    "in_doubt": Outcome.UNKNOWN,
}
ACK_RESULTS: Final = {result: outbox_pb2.AckResult.Value(f"ACK_RESULT_{result.name}") for result in AckResult}
_STAGES = {
    outbox_pb2.DELIVERY_STAGE_SENT: PartState.SENT,
    outbox_pb2.DELIVERY_STAGE_DELIVERED: PartState.DELIVERED,
    outbox_pb2.DELIVERY_STAGE_READ: PartState.READ,
    outbox_pb2.DELIVERY_STAGE_PLAYED: PartState.PLAYED,
}


def max_in_flight(given: int) -> int:
    if given > MOST:
        raise CallerError("FIELD_INVALID", f"`max_in_flight` is at most {MOST}", field="max_in_flight")
    return given or DEFAULT_IN_FLIGHT


def wants_replies(kinds: Sequence[int]) -> bool:
    return not kinds or outbox_pb2.OUTBOX_ITEM_KIND_REPLY in kinds


def wants_media(kinds: Sequence[int]) -> bool:
    return outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED in kinds


def typing_interval(request: outbox_pb2.PullOutboxRequest) -> float | None:
    """In seconds; None: the caller does not show typing indicators."""
    if outbox_pb2.OUTBOX_ITEM_KIND_TYPING not in request.kinds:
        return None
    if not request.HasField("typing_interval"):
        return DEFAULT_TYPING_INTERVAL
    given = request.typing_interval
    seconds = given.seconds + given.nanos / 1e9
    if not TYPING_INTERVALS[0] <= seconds <= TYPING_INTERVALS[1]:
        raise CallerError("FIELD_INVALID", "`typing_interval` is 1 to 60 seconds", field="typing_interval")
    return seconds


def typing(item: TypingItem) -> outbox_pb2.Typing:
    return outbox_pb2.Typing(user_id=item.user_id, address=item.address, message_id=item.message_id)


def check_count(count: int, field: str) -> None:
    if not count:
        raise CallerError("FIELD_INVALID", f"`{field}` must hold 1 to {MOST}", field=field)


def leased(lease: Lease, seconds: float, trace_parent: str) -> outbox_pb2.ReplyDelivery:
    """`seconds`: the remaining time of the lease."""
    return outbox_pb2.ReplyDelivery(
        reply=converters.reply(lease.reply),
        user_id=lease.user_id,
        address=lease.address,
        lease_token=lease.token,
        lease_for=converters.duration(seconds),
        split=_split(lease) if lease.parts else None,
        has_next=lease.has_next,
        trace_parent=trace_parent,
    )


def _split(lease: Lease) -> outbox_pb2.ReplySplit:
    return outbox_pb2.ReplySplit(parts=lease.parts, version=lease.split_version, sent_parts=lease.sent_parts)


def part_ack(given: outbox_pb2.Acknowledgement) -> PartAck | None:
    """None: it is invalid (an unknown result, part or item)."""
    ack, part = given.part, given.part.part
    outcome = _OUTCOMES.get(ack.WhichOneof("result") or "")
    if outcome is None or not _is_part(part) or "\0" in ack.split_version:
        return None
    sent, failure = ack.sent.channel_message_id, _SUCCESS if outcome is Outcome.SENT else failure_of(ack)
    if "\0" in sent + failure.error_code:
        return None
    return PartAck(
        reply_id=part.reply_id,
        part=part.part,
        parts=part.parts,
        split_version=ack.split_version,
        token=given.lease_token,
        outcome=outcome,
        channel_message_id=sent,
        retry_after=failure.retry_after,
        error_code=failure.error_code,
    )


class Failure(NamedTuple):
    retry_after: float | None = None
    error_code: str = ""


_SUCCESS: Final = Failure()


def failure_of(given: Failed) -> Failure:
    """Empty for a success."""
    match given.WhichOneof("result"):
        case "retry" | "window_closed" as kind:
            failed = getattr(given, kind)
            return Failure(retry_after(failed), failed.error_code)
        case "failed" | "in_doubt" as kind:
            return Failure(error_code=getattr(given, kind).error_code)
    return _SUCCESS


def retry_after(
    given: outbox_pb2.DeliveryRetry | outbox_pb2.DeliveryWindowClosed | outbox_pb2.ClaimInvitationRequest,
) -> float | None:
    """Seconds; a day at most. None: absent."""
    if not given.HasField("retry_after"):
        return None
    return min(max(0.0, given.retry_after.seconds + given.retry_after.nanos / 1e9), MOST_WAIT_SECONDS)


def _is_part(given: outbox_pb2.ReplyPart) -> bool:
    return 1 <= given.part <= given.parts <= MAX_PARTS and bool(given.reply_id) and "\0" not in given.reply_id


def held_lease(given: outbox_pb2.HeldLease) -> tuple[str, str]:
    """The reply's id and the token; an impossible id matches no lease."""
    return given.reply_id.replace("\0", ""), given.lease_token.replace("\0", "")


def lease_state(*, is_held: bool) -> outbox_pb2.LeaseState.ValueType:
    return outbox_pb2.LEASE_STATE_HELD if is_held else outbox_pb2.LEASE_STATE_LOST


def part_receipts(given: Sequence[outbox_pb2.Receipt]) -> list[PartReceipt]:
    """Those that can concern a reply of this service. Raises `CallerError` if none is given."""
    check_count(len(given), "receipts")
    return [receipt for each in given if (receipt := part_receipt(each)) is not None]


def part_receipt(given: outbox_pb2.Receipt) -> PartReceipt | None:
    """None: it identifies no reply of this service, or reports no known state."""
    kind = given.WhichOneof("result") or ""
    if kind == "reached":
        state, failure = _STAGES.get(given.reached, PartState.UNREPORTED), _SUCCESS
    else:
        state, failure = PartState.FAILED if kind else PartState.UNREPORTED, failure_of(given)
    part = given.part if _is_part(given.part) else outbox_pb2.ReplyPart()
    if state is PartState.UNREPORTED or not (part.reply_id or given.channel_message_id):
        return None
    if "\0" in given.channel_message_id + failure.error_code:
        return None
    return PartReceipt(
        reply_id=part.reply_id,
        part=part.part,
        parts=part.parts,
        channel_message_id=given.channel_message_id,
        state=state,
        error_code=failure.error_code,
        outcome=_OUTCOMES.get(kind, Outcome.FAILED),
        retry_after=failure.retry_after,
    )
