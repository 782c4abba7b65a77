"""A reply that a transaction may lease to an attached stream at once, so that no poll of the store is needed."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Self

from kernel_service.errors import KernelError
from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.outbox import LeaseOffer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kernel_service.outbox.pull_stream import PullStream
    from kernel_service.ports.outbox import Lease, OutboxStore, StoredReplies

log = logging.getLogger(__name__)


class StreamOffer:
    """Fills `OfferedLease`. The credit of a stream that serves the address is reserved during the block.

    `lease` and `has_pending` are known once the transaction is committed.
    """

    def __init__(self, offers: LeaseOffers, person_id: str, channel: str, address: str) -> None:
        self._offers = offers
        self._person_id = person_id
        self._channel = channel
        self._address = address
        self._stream: PullStream | None = None
        self.offer: LeaseOffer | None = None
        self.lease: Lease | None = None
        self.has_pending = False

    def stored(self, replies: StoredReplies) -> None:
        self.lease, self.has_pending = replies.lease, replies.is_pending

    def __enter__(self) -> Self:
        self._stream = stream = self._offers.roomiest(self._channel, self._address)
        if stream is not None:
            stream.reserved += 1
            token = new_token(stream.puller.instance, stream.puller.node)
            self.offer = LeaseOffer(stream.puller, token, self._offers.seconds)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._stream is not None:
            self._stream.reserved -= 1
        if kind is None:
            if self._stream is not None and self.lease is not None:
                self._offers.push(self.lease, self._stream)
            if self.has_pending:
                self._offers.ready(self._channel, self._address)
        elif self.offer is not None and issubclass(kind, asyncio.CancelledError):  # it may still be committed
            self._offers.release_offer(self._person_id, self.offer, self._channel, self._address)


class LeaseOffers:
    """One per process. `ready(channel, address)` polls the store; `is_attached` returns whether a stream is still read.

    `roomiest(channel, address)`: the stream with the most room; None: none has any. A lease lasts for `seconds`.
    """

    def __init__(
        self,
        store: OutboxStore,
        ready: Callable[[str, str | None], None],
        roomiest: Callable[[str, str], PullStream | None],
        is_attached: Callable[[PullStream], bool],
        *,
        seconds: float,
    ) -> None:
        self._store = store
        self.ready = ready
        self.roomiest = roomiest
        self.seconds = seconds
        self._is_attached = is_attached
        self._releases: set[asyncio.Task[None]] = set()

    def release_offer(self, person_id: str, offer: LeaseOffer, channel: str, address: str) -> None:
        """Release the lease that a transaction of the person may have taken, in the background."""
        self.release_later(self._store.release_offered(person_id, offer.token), channel, address)

    def push(self, lease: Lease, stream: PullStream) -> None:
        """Send a committed lease."""
        if self._is_attached(stream):
            stream.push(lease)
        else:  # it has ended meanwhile, and does not hold the lease
            releasing = self._store.release([(lease.reply.id, lease.token)])
            self.release_later(releasing, stream.channel, lease.address)

    def release_later(self, releasing: Coroutine[None, None, None], channel: str, address: str | None = None) -> None:
        """Release leases that no channel has seen, in the background. If that fails, they expire."""
        task = asyncio.create_task(self._release(releasing, channel, address))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release(self, releasing: Coroutine[None, None, None], channel: str, address: str | None) -> None:
        try:
            await releasing
        except KernelError as error:
            log.warning("a lease without a stream is not released: %s", error.reason)
        self.ready(channel, address)
