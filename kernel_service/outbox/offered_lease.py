"""A reply that a transaction may lease to an attached stream at once, so that no poll of the store need find it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from kernel_service.errors import KernelError
from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.outbox import LeaseOffer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from kernel_service.outbox.pull_stream import PullStream
    from kernel_service.ports.outbox import Lease, OutboxStore, Puller, StoredReplies

log = logging.getLogger(__name__)


class StreamOffer:
    """Fills `OfferedLease`. `lease` and `has_pending` are known once the transaction is committed."""

    def __init__(self, stream: PullStream | None, seconds: float) -> None:
        self.stream = stream
        self.offer = _offer(stream.puller, seconds) if stream is not None else None
        self.lease: Lease | None = None
        self.has_pending = False

    def stored(self, replies: StoredReplies) -> None:
        self.lease, self.has_pending = replies.lease, replies.is_pending


def _offer(puller: Puller, seconds: float) -> LeaseOffer:
    return LeaseOffer(puller, new_token(puller.instance, puller.node), seconds)


class LeaseOffers:
    """One per process. `ready(channel, address)` polls the store; `is_attached` says whether a stream is still read."""

    def __init__(
        self, store: OutboxStore, ready: Callable[[str, str | None], None], is_attached: Callable[[PullStream], bool]
    ) -> None:
        self._store = store
        self._ready = ready
        self._is_attached = is_attached
        self._releases: set[asyncio.Task[None]] = set()

    @contextmanager
    def offered(
        self, streams: Sequence[PullStream], person_id: str, channel: str, address: str, *, seconds: float
    ) -> Iterator[StreamOffer]:
        """Reserve the credit of the stream with the most room for a lease that lasts for `seconds`."""
        stream = max((each for each in streams if each.room), key=lambda each: each.room, default=None)
        offered = StreamOffer(stream, seconds)
        try:
            with stream.reserved(1) if stream is not None else nullcontext():
                yield offered
        except asyncio.CancelledError:  # the transaction may still be committed
            if offered.offer is not None:
                self.release_later(self._store.release_offered(person_id, offered.offer.token), channel, address)
            raise
        if stream is not None and offered.lease is not None:
            self._push(offered.lease, stream)
        if offered.has_pending:
            self._ready(channel, address)

    def _push(self, lease: Lease, stream: PullStream) -> None:
        if self._is_attached(stream):
            stream.push(lease)
        else:  # it has ended meanwhile, and does not know of the lease
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
        self._ready(channel, address)
