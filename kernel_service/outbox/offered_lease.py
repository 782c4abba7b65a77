"""A reply that a transaction may lease to an attached stream at once, so that no poll of the store need find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.outbox import LeaseOffer

if TYPE_CHECKING:
    from kernel_service.outbox.pull_stream import PullStream
    from kernel_service.ports.outbox import Lease, StoredReplies


class StreamOffer:
    """Fills `OfferedLease`. `lease` and `has_pending` are known once the transaction is committed."""

    def __init__(self, stream: PullStream | None, seconds: float) -> None:
        self.stream = stream
        self.offer = LeaseOffer(new_token(stream.instance), seconds) if stream is not None else None
        self.lease: Lease | None = None
        self.has_pending = False

    def stored(self, replies: StoredReplies) -> None:
        self.lease, self.has_pending = replies.lease, replies.is_pending
