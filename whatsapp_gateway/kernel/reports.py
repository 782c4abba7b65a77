"""Converts acknowledgements and receipts to the contract."""

from typing import Final

from kernel.v1 import outbox_pb2

from kernel_client import acks
from whatsapp_gateway.graph.retry_policy import outcome_of, remedy_of_status, retry_delay
from whatsapp_gateway.model import updates as say
from whatsapp_gateway.model.callback_ids import part_named
from whatsapp_gateway.model.outbox import Ack, DeliveryOutcome

_STAGES: Final = {
    "sent": outbox_pb2.DELIVERY_STAGE_SENT,
    "delivered": outbox_pb2.DELIVERY_STAGE_DELIVERED,
    "read": outbox_pb2.DELIVERY_STAGE_READ,
    "played": outbox_pb2.DELIVERY_STAGE_PLAYED,
}


def receipt(status: say.Status) -> outbox_pb2.Receipt:
    receipt = outbox_pb2.Receipt(channel_message_id=status.wamid)
    if (part := part_named(status.callback_id)) is not None:
        receipt.part.reply_id, receipt.part.part, receipt.part.parts = part
    if status.occurred_at is not None:
        receipt.occurred_at.seconds = status.occurred_at
    if status.state == "failed":
        remedy = remedy_of_status(status.error_code)
        outcome = DeliveryOutcome.RETRY if status.upload_again else outcome_of(remedy)
        retry_after = status.retry_after or retry_delay(remedy, status.backoff_count)
        set_failure(receipt, outcome, status.error_code, retry_after)
    else:
        receipt.reached = _STAGES[status.state]
    return receipt


def set_failure(
    settled: outbox_pb2.PartAcknowledgement | outbox_pb2.MediaAcknowledgement | outbox_pb2.Receipt,
    outcome: DeliveryOutcome,
    error_code: str,
    retry_after: float,
) -> None:
    """retry_after 0: the service decides, or waits until the person writes."""
    failure = getattr(settled, _FAILURES[outcome])
    failure.SetInParent()
    failure.error_code = error_code
    if outcome in _REPEATED and retry_after:
        failure.retry_after.FromMilliseconds(round(retry_after * 1000))


_FAILURES: Final = {
    DeliveryOutcome.RETRY: "retry",
    DeliveryOutcome.FAILED: "failed",
    DeliveryOutcome.WINDOW_CLOSED: "window_closed",
    DeliveryOutcome.UNKNOWN: "in_doubt",
}
_REPEATED: Final = frozenset({DeliveryOutcome.RETRY, DeliveryOutcome.WINDOW_CLOSED})
_MAY_BE_SENT: Final = frozenset({DeliveryOutcome.SENT, DeliveryOutcome.UNKNOWN})


def acknowledgement(ack: Ack) -> acks.Ack:
    """Those of failures, and those that the person's next reply waits for, are urgent."""
    settled = outbox_pb2.PartAcknowledgement(
        part=outbox_pb2.ReplyPart(reply_id=ack.delivery.reply.id, part=ack.part, parts=ack.parts),
        split_version=ack.split_version,
    )
    if ack.outcome is DeliveryOutcome.SENT:
        settled.sent.SetInParent()
        settled.sent.channel_message_id = ack.wamid
    else:
        set_failure(settled, ack.outcome, ack.error_code, ack.retry_after)
    waited_for = ack.delivery.has_next and ack.part == ack.parts
    return acks.Ack(
        outbox_pb2.Acknowledgement(lease_token=ack.delivery.lease_token, part=settled),
        ack.delivery.reply.id,
        ack.delivery.lease_ends,
        may_be_sent=ack.outcome in _MAY_BE_SENT,
        is_urgent=waited_for or ack.outcome is not DeliveryOutcome.SENT,
        node_id=ack.delivery.node_id,
    )
