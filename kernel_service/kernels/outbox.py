"""The out-door: hands leased replies to those who pull, within their credit, and settles what they acknowledge.

Whoever takes them is handed the files that his channel is to fetch, too; what becomes of these, the media desk knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, overload

from kernel_service.kernels.attendance import Attendance
from kernel_service.kernels.outbox_store import AckResult, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kernel_service.kernels.outbox_store import Lease, OutboxStore, PartAck, PartReceipt
    from kernel_service.media.desk import MediaDesk
    from kernel_service.media.store import MediaWanted

LEASE_SECONDS = 60.0
GRACE_SECONDS = 30.0
"""How long a reply in doubt waits for a receipt before it is sent again, while the channel's receipts arrive."""
PATIENCE_SECONDS = 300.0
"""How long it waits in a channel without receipts: perhaps nobody else is written to, and a person must not wait on.

Only time in which the channel pulls counts, without a break. Who pulls also brings the receipts, so until then it is
no wonder that there are none; when a channel comes back from an hour's absence, its network is still to tell of it.
"""
POLL_SECONDS = 1.0
"""How soon a reply that became due by time alone (a back-off, a grace) is seen."""
BATCH = 64


class Outbox:
    """One per process; each pulling stream is a `Pull`."""

    def __init__(self, store: OutboxStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._pulls: set[Pull] = set()
        self._attendance = Attendance()
        self._closed = False

    def ready(self, channel: str) -> None:
        """Something may be leased in this channel: look at once."""
        for pull in self._pulls:
            if pull.channel == channel:
                pull.look.set()

    @overload
    def pull(
        self, channel: str, addresses: Sequence[str], max_in_flight: int, instance: str
    ) -> AsyncIterator[tuple[Lease, float]]: ...
    @overload
    def pull(
        self, channel: str, addresses: Sequence[str], max_in_flight: int, instance: str, *, desk: MediaDesk | None
    ) -> AsyncIterator[tuple[Lease | MediaWanted, float]]: ...
    async def pull(
        self,
        channel: str,
        addresses: Sequence[str],
        max_in_flight: int,
        instance: str,
        *,
        desk: MediaDesk | None = None,
    ) -> AsyncIterator[tuple[Lease | MediaWanted, float]]:
        """Leases as they come, of the desk's files too, and for how many seconds each lasts from now.

        Until the process drains.
        """
        pull = Pull(channel, max_in_flight, instance)
        self._pulls.add(pull)
        unsent: list[Lease] = []
        try:
            while not (self._closed or pull.ended):
                pull.look.clear()
                unsent = await self._lease(pull, addresses)
                while unsent and not pull.ended:
                    lease = unsent.pop(0)
                    yield lease, lease.expires_at - self._clock()
                for wanted in await self._wanted(pull, addresses, desk):
                    yield wanted, wanted.leased_until - self._clock()
                await pull.wait()
        finally:
            self._pulls.discard(pull)
            await self._hand_back(channel, unsent)
            await self._ask_others(pull, desk)

    async def _lease(self, pull: Pull, addresses: Sequence[str]) -> list[Lease]:
        now = self._clock()
        room = min(pull.room(now), BATCH)
        if not room:
            return []
        leasing = asyncio.ensure_future(
            self._store.lease(
                pull.channel, addresses, instance=pull.instance, limit=room, seconds=LEASE_SECONDS, now=now
            )
        )
        try:
            leases = await asyncio.shield(leasing)
        except asyncio.CancelledError:  # the stream ended while they were leased
            await self._hand_back(pull.channel, await leasing)
            raise
        pull.leased.update({lease.reply.id: lease.expires_at for lease in leases})
        if len(leases) == room:
            pull.look.set()
        return leases

    async def _hand_back(self, channel: str, leases: Sequence[Lease]) -> None:
        """What no channel has seen need not wait for its lease to lapse."""
        if leases:
            await self._store.unlease([(lease.reply.id, lease.token) for lease in leases])
            self.ready(channel)

    async def release(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """What the instance holds, but for what is in its hands, may be leased at once; how many replies."""
        for pull in self._pulls:
            if (pull.channel, pull.instance) == (channel, instance):
                pull.end()  # its end may not be known here yet: it must not lease again after this
        released = await self._store.give_back(channel, instance, in_hand)
        self.ready(channel)
        return released

    async def _wanted(self, pull: Pull, addresses: Sequence[str], desk: MediaDesk | None) -> list[MediaWanted]:
        """Files to fetch, within what is left of the credit."""
        room = min(pull.room(self._clock()), BATCH)
        if desk is None or not room or pull.ended:
            return []
        found = await desk.lease(pull.channel, addresses, room)
        pull.wanted.update({wanted.media_id: wanted for wanted in found})
        pull.leased.update({wanted.media_id: wanted.leased_until for wanted in found})
        return found

    async def _ask_others(self, pull: Pull, desk: MediaDesk | None) -> None:
        """A stream has ended: to fetch a file twice does no harm, and to wait for a channel that is gone does."""
        held = [wanted for media_id, wanted in pull.wanted.items() if media_id in pull.leased]
        if desk is not None and held:
            await desk.hand_back(held)
            self.ready(pull.channel)

    def fetched(self, channel: str, media_id: str) -> None:
        """A channel has brought a file, or cannot: it has room for another."""
        self._give_credit_back(media_id)
        self.ready(channel)

    async def settle(self, channel: str, acks: Sequence[PartAck]) -> list[AckResult]:
        results = await self._store.settle(channel, acks, now=self._clock())
        for ack, result in zip(acks, results, strict=True):
            if result is AckResult.RECORDED and (ack.outcome is not Outcome.SENT or ack.part == ack.parts):
                self._give_credit_back(ack.reply_id)
        self.ready(channel)  # the person's next reply may be leased now
        return results

    async def receive(self, channel: str, receipts: Sequence[PartReceipt]) -> int:
        recorded = await self._store.receive(channel, receipts, now=self._clock()) if receipts else 0
        self.ready(channel)  # a settled doubt lets the person's next reply go
        return recorded

    def _give_credit_back(self, item_id: str) -> None:
        for pull in self._pulls:
            pull.leased.pop(item_id, None)
            pull.wanted.pop(item_id, None)

    async def sweep(self) -> None:
        """Put lapsed leases in doubt, and doubts past their time back."""
        now = self._clock()
        self._attendance.note({pull.channel for pull in self._pulls}, now)
        attended = self._attendance.for_at_least(PATIENCE_SECONDS, now)
        await self._store.lapse(grace=GRACE_SECONDS, patience=PATIENCE_SECONDS, attended=attended, now=now)

    def close(self) -> None:
        """End every stream: its client pulls from whoever comes next."""
        self._closed = True
        for pull in self._pulls:
            pull.look.set()


class Pull:
    """One stream's credit: the replies and the files to fetch that it holds, and until when."""

    def __init__(self, channel: str, max_in_flight: int, instance: str) -> None:
        self.channel = channel
        self.instance = instance
        self.look = asyncio.Event()
        self.leased: dict[str, float] = {}
        self.wanted: dict[str, MediaWanted] = {}
        self.ended = False
        self._max_in_flight = max_in_flight

    def end(self) -> None:
        self.ended = True
        self.look.set()

    def room(self, now: float) -> int:
        self.leased = {reply_id: until for reply_id, until in self.leased.items() if until > now}
        return max(0, self._max_in_flight - len(self.leased))

    async def wait(self) -> None:
        """Until there may be something: a word, or the poll's time."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self.look.wait()
        except TimeoutError:
            return
