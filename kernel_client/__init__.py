"""The client of a channel: it passes messages to the kernel service, and brings the replies for people."""

from kernel.v1.identity_pb2 import Alias
from kernel.v1.media_pb2 import Media
from kernel.v1.messages_pb2 import Choice, Link, Payload, Reply, ReplyChoice
from kernel.v1.outbox_pb2 import Receipt, Typing

from kernel_client.client import KernelClient
from kernel_client.delivery import Delivery, MediaWanted
from kernel_client.errors import KernelError

__all__ = [
    "Alias",
    "Choice",
    "Delivery",
    "KernelClient",
    "KernelError",
    "Link",
    "Media",
    "MediaWanted",
    "Payload",
    "Receipt",
    "Reply",
    "ReplyChoice",
    "Typing",
]
