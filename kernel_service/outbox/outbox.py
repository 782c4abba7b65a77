"""The outbox: leases replies to the streams that pull, within their credit, and settles what they acknowledge.

A stream is also given the files that its channel is to fetch, and who is being answered. `media/transfers.py` and
`typing.py` keep the state of these.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, overload

from kernel_service.outbox.pull_stream import PullStream
from kernel_service.outbox.shared_poll import SharedPoll
from kernel_service.outbox.typing import Typing, TypingStream
from kernel_service.ports import outbox
from kernel_service.ports.outbox import AckResult, Lease, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.ports.media import MediaWanted
    from kernel_service.ports.outbox import OutboxStore, PartAck, PartReceipt
    from kernel_service.ports.typing import TypingItem

LEASE_SECONDS = 60.0
GRACE_SECONDS = 15.0
"""How long a reply in doubt waits for a receipt before it is sent again, while a process of the channel pulls.

After the death of a channel's process its replies are answered within 45 seconds: 5 until a vanished host is noticed
(`api/listener.py`), 20 in which it may still be sending (SENDING_SECONDS), these 15, two sweeps, and the send.
"""
LONGEST_GRACE_SECONDS = 300.0
"""The longest that it waits, of the same time, where the channel was away for long."""
MOST_ATTENDED_SECONDS = 5.0
"""The most that counts from one sweep to the next: after more this process was stopped, and no receipt could come."""
POLL_SECONDS = 1.0
"""How soon a reply that became due by time alone (a back-off, a grace) is seen."""
BATCH = 64


class Outbox:
    """One per process. Many streams pull from it, of one channel or of several."""

    def __init__(self, store: OutboxStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self.typing = Typing(store)
        self._streams: set[PullStream] = set()
        self._wakeups: Counter[str] = Counter()
        self._polls: defaultdict[tuple[str, frozenset[str]], SharedPoll] = defaultdict(SharedPoll)
        self._to_expire: list[tuple[list[tuple[str, str]], float]] = []
        self._swept_at = clock()
        self._closed = False

    async def take_over(self) -> None:
        """Streams end with their process: what an earlier one leased ends as if its stream had broken now."""
        await self._store.expire_leases(None, until=self._clock() + outbox.SENDING_SECONDS)

    def ready(self, channel: str) -> None:
        """Something may be leased in this channel: ask the store at once."""
        self._wakeups[channel] += 1
        for stream in self._streams:
            if stream.channel == channel:
                stream.poll_now()

    @overload
    def pull(
        self, channel: str, addresses: Sequence[str], max_in_flight: int, instance: str
    ) -> AsyncIterator[tuple[Lease, float]]: ...
    @overload
    def pull(
        self,
        channel: str,
        addresses: Sequence[str],
        max_in_flight: int,
        instance: str,
        *,
        transfers: MediaTransfers | None,
        typing_interval: float | None,
    ) -> AsyncIterator[tuple[Lease | MediaWanted | TypingItem, float]]: ...
    async def pull(
        self,
        channel: str,
        addresses: Sequence[str],
        max_in_flight: int,
        instance: str,
        *,
        transfers: MediaTransfers | None = None,
        typing_interval: float | None = None,
    ) -> AsyncIterator[tuple[Lease | MediaWanted | TypingItem, float]]:
        """Leases as they come, with the seconds that each lasts from now; of files to fetch too, given `transfers`.

        Until the process drains. Given `typing_interval`, in seconds, also who is being answered, as often.
        """
        stream = PullStream(channel, addresses, max_in_flight, instance)
        typing = TypingStream(channel, addresses, typing_interval, stream.wakeup.set) if typing_interval else None
        self._streams.add(stream)
        unsent: list[Lease] = []
        try:
            with self.typing.stream(typing):
                while not (self._closed or stream.ended):
                    if stream.poll_is_due():
                        credit = stream.credit(self._clock())
                        unsent = await self._lease(stream, min(credit, BATCH))
                        credit -= len(unsent)
                        while unsent and not stream.ended:
                            lease = unsent.pop(0)
                            yield lease, lease.expires_at - self._clock()
                        for wanted in await self._lease_files(stream, transfers, min(credit, BATCH)):
                            yield wanted, wanted.leased_until - self._clock()
                    while typing and (item := typing.take()):
                        yield item, typing.interval
                    await stream.wait(POLL_SECONDS)
        finally:
            self._streams.discard(stream)
            await self._end(stream, unsent, transfers)

    async def _lease(self, stream: PullStream, room: int) -> list[Lease]:
        if not room:
            return []
        poll = self._polls[stream.scope]
        async with poll.one_at_a_time:
            wakeups = self._wakeups[stream.channel]
            if poll.found_all(wakeups, within=POLL_SECONDS / 2):
                return []
            leases = await self._lease_from_store(stream, room)
            if len(leases) < room:
                poll.note(wakeups)
        stream.held.update({lease.reply.id: lease for lease in leases})
        if len(leases) == room:
            stream.poll_now()
        return leases

    async def _lease_from_store(self, stream: PullStream, room: int) -> list[Lease]:
        now = self._clock()
        leasing = asyncio.ensure_future(
            self._store.lease(
                stream.channel, stream.addresses, instance=stream.instance, limit=room, seconds=LEASE_SECONDS, now=now
            )
        )
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:  # the stream ended while they were leased
            await self._release(stream.channel, await leasing)
            raise

    async def _lease_files(self, stream: PullStream, transfers: MediaTransfers | None, room: int) -> list[MediaWanted]:
        """Files to fetch, within what is left of the credit."""
        if transfers is None or not room or stream.ended:
            return []
        files = await transfers.lease(stream.channel, stream.addresses, room)
        stream.held.update({file.media_id: file for file in files})
        return files

    async def _end(self, stream: PullStream, unsent: Sequence[Lease], transfers: MediaTransfers | None) -> None:
        if all(other.scope != stream.scope for other in self._streams):
            self._polls.pop(stream.scope, None)  # a channel may name other addresses with each stream
        self._to_expire.append((stream.replies, self._clock() + outbox.SENDING_SECONDS))
        await self._release(stream.channel, unsent)
        if transfers is not None and (files := stream.files):
            # To fetch a file twice does no harm, and to wait for a channel that is gone does.
            await transfers.release(files)
            self.ready(stream.channel)
        await self._expire_leases()

    async def _release(self, channel: str, leases: Sequence[Lease]) -> None:
        """What no channel has seen need not wait until its lease expires."""
        if leases:
            await self._store.release([(lease.reply.id, lease.token) for lease in leases])
            self.ready(channel)

    async def _expire_leases(self) -> None:
        """The leases of streams that have ended expire soon: nothing new is begun under them.

        What the store does not take now is left to a later sweep.
        """
        to_expire, self._to_expire = self._to_expire, []
        try:
            for leases, until in to_expire:
                await self._store.expire_leases(leases, until=until)
        except BaseException:
            self._to_expire += to_expire
            raise

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """What the instance holds, but for what is in its hands, may be leased at once; how many replies."""
        for stream in self._streams:
            if (stream.channel, stream.instance) == (channel, instance):
                stream.end()  # its end may not be known here yet: it must not lease again after this
        released = await self._store.release_leases(channel, instance, in_hand)
        self.ready(channel)
        return released

    def fetched(self, channel: str, media_id: str) -> None:
        """A channel has brought a file, or cannot: its stream has credit for another."""
        self._return_credit(media_id)
        self.ready(channel)

    async def settle(self, channel: str, acks: Sequence[PartAck]) -> list[AckResult]:
        results = await self._store.settle(channel, acks, now=self._clock())
        for ack, result in zip(acks, results, strict=True):
            if result is AckResult.RECORDED and (ack.outcome is not Outcome.SENT or ack.part == ack.parts):
                self._return_credit(ack.reply_id)
        self.ready(channel)  # the person's next reply may be leased now
        return results

    async def extend(self, channel: str, leases: Sequence[tuple[str, str]]) -> list[bool]:
        """Leases (reply id, token) last LEASE_SECONDS from now; for each whether it is still good."""
        now = self._clock()
        until = now + LEASE_SECONDS
        held = await self._store.extend_leases(channel, leases, until=until, now=now)
        for (reply_id, token), is_held in zip(leases, held, strict=True):
            if is_held:
                for stream in self._streams:
                    stream.extend(reply_id, token, until)
        return held

    async def receive(self, channel: str, receipts: Sequence[PartReceipt]) -> int:
        recorded = await self._store.receive(channel, receipts, now=self._clock())
        self.ready(channel)  # a settled doubt lets the person's next reply go
        return recorded

    def _return_credit(self, item_id: str) -> None:
        for stream in self._streams:
            stream.held.pop(item_id, None)

    async def sweep(self) -> None:
        """Expired leases become in doubt; replies that were in doubt for long enough are pending again."""
        now = self._clock()
        passed, self._swept_at = min(now - self._swept_at, MOST_ATTENDED_SECONDS), now
        attended = {stream.channel for stream in self._streams}
        if await self._store.sweep(
            grace=GRACE_SECONDS, longest_grace=LONGEST_GRACE_SECONDS, attended=sorted(attended), seconds=passed, now=now
        ):
            for channel in attended:
                self.ready(channel)
        await self._expire_leases()

    def close(self) -> None:
        """End every stream: its client pulls from whoever comes next."""
        self._closed = True
        for stream in self._streams:
            stream.wakeup.set()
