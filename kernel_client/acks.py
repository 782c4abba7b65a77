"""Acknowledgements of leased replies, as the contract has them."""

from dataclasses import dataclass

from kernel.v1 import outbox_pb2


@dataclass(slots=True, eq=False)
class Ack:
    """The acknowledgement of one part of a reply.

    lease_ends is in seconds of the channel's monotonic clock.

    may_be_sent: the part is or may be on its way to the person.

    is_urgent: the person's next reply waits for it, or the reply is to be sent again.

    node_id: the node that leased the reply; empty: unknown.
    """

    message: outbox_pb2.Acknowledgement
    reply_id: str
    lease_ends: float
    may_be_sent: bool
    is_urgent: bool = True
    node_id: str = ""
