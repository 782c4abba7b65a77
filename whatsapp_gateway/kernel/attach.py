"""The items that this gateway pulls from the outbox."""

from collections.abc import Sequence
from typing import Final

from google.protobuf.duration_pb2 import Duration
from kernel.v1 import outbox_pb2

CHANNEL: Final = "whatsapp"
MOST_IN_FLIGHT: Final = 100
"""Concurrently leased replies of all streams together, which bounds the sends in progress; WhatsApp accepts 80 messages
a second.
"""
TYPING_INTERVAL_SECONDS: Final = 20
"""WhatsApp shows the indicator for 25 s."""


def attach_request(numbers: Sequence[str], instance_id: str) -> outbox_pb2.PullOutboxRequest:
    """instance_id is unique to this process."""
    return outbox_pb2.PullOutboxRequest(
        channel=CHANNEL,
        addresses=numbers,
        instance_id=instance_id,
        max_in_flight=MOST_IN_FLIGHT,
        kinds=[
            outbox_pb2.OUTBOX_ITEM_KIND_REPLY,
            outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED,
            outbox_pb2.OUTBOX_ITEM_KIND_TYPING,
        ],
        typing_interval=Duration(seconds=TYPING_INTERVAL_SECONDS),
    )
