"""The outbox: leases replies to pulling streams, within their credit, and settles acknowledged replies.

A stream also gets the files that its channel must fetch, and the typing status. `media/transfers.py` and `typing.py`
keep their state.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from itertools import chain
from typing import TYPE_CHECKING, overload

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import StoreUnavailable
from kernel_service.outbox.invitations import RETRY_DAYS
from kernel_service.outbox.offered_lease import LeaseOffers, StreamOffer
from kernel_service.outbox.pull_stream import PullStream
from kernel_service.outbox.ready_notices import Ready, ReadyNotices
from kernel_service.outbox.shared_poll import SharedPoll
from kernel_service.outbox.typing import Typing, TypingStream
from kernel_service.outbox.typing_notices import TypingNotices
from kernel_service.ports import outbox
from kernel_service.ports.invitations import ASKED_RECENTLY_SECONDS
from kernel_service.ports.lease_tokens import node_mark_in
from kernel_service.ports.outbox import AckResult, Lease, Outcome, Puller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.media import MediaWanted
    from kernel_service.ports.notices import Notices
    from kernel_service.ports.outbox import OutboxStore, PartAck, PartReceipt
    from kernel_service.ports.typing import TypingItem

LEASE_SECONDS = 60.0
GRACE_SECONDS = 15.0
"""How long an in-doubt reply waits for a receipt before it is sent again, while a process of the channel pulls.

After a crash of a channel's process its replies are sent within 45 seconds. These are 5 until a lost host is detected
(`api/listener.py`), 20 in which it may still send (SENDING_SECONDS), these 15, two sweeps, and the send.
"""
LONGEST_GRACE_SECONDS = 300.0
"""The longest such wait, for a channel that was away for long."""
MOST_CONNECTED_SECONDS = 5.0
"""The most time that counts between two sweeps. A longer gap means that this process was suspended."""
POLL_SECONDS = 1.0
"""The delay until a reply that is due by time alone (a back-off, a grace) is detected."""
BATCH = 64


class Outbox:
    """One per process. Many streams of one or several channels pull from it."""

    def __init__(self, store: OutboxStore, cluster: Cluster, notices: Notices, clock: Callable[[], float]) -> None:
        self._store = store
        self._cluster = cluster
        self._clock = clock
        typing = TypingNotices(cluster, notices, self._serves)
        self.typing = Typing(store, typing.send)
        typing.show_by(self.typing.show)
        self._streams: defaultdict[str, tuple[PullStream, ...]] = defaultdict(tuple)
        """By channel."""
        self._wakeups: Counter[str] = Counter()
        self._polls: defaultdict[tuple[str, frozenset[str]], SharedPoll] = defaultdict(SharedPoll)
        self._to_expire: list[tuple[list[tuple[str, str]], float]] = []
        self._offers = LeaseOffers(store, self.ready, self._roomiest, self._is_attached, seconds=LEASE_SECONDS)
        self._others = ReadyNotices(cluster, notices, self._on_ready)
        notices.on_missed(self._poll_all_now)
        self._swept_at = clock()
        self._closed = False

    def channels(self) -> list[str]:
        """The channels with a stream that is attached to this node."""
        return sorted(channel for channel, streams in self._streams.items() if streams)

    def ready(self, channel: str, address: str | None = None) -> None:
        """The channel may have a reply to lease, at this address of it, or at any.

        The streams at this node poll the store at once. So do those at other nodes, unless a stream here has room.
        """
        self._poll_now(channel)
        if not self._has_room(channel, address):
            self._others.send(channel, Ready.REPLIES)

    def wanted(self, channel: str) -> None:
        """A message waits for a file of the channel: as `ready`."""
        self._poll_files_now(channel)
        if not self._has_room(channel, None, with_files=True):
            self._others.send(channel, Ready.FILES)

    def _has_room(self, channel: str, address: str | None, *, with_files: bool = False) -> bool:
        """Whether a stream here can take an item at this address; None: at any."""
        return self._may_lease and any(
            stream.room
            and (stream.serves(address) if address is not None else not stream.addresses)
            and (stream.transfers is not None or not with_files)
            for stream in self._streams[channel]
        )

    def _serves(self, channel: str, address: str) -> bool:
        return any(stream.serves(address) for stream in self._streams[channel])

    def _poll_now(self, channel: str) -> None:
        """Poll the store at once."""
        self._wakeups[channel] += 1
        for stream in self._streams[channel]:
            stream.poll_now()

    def _poll_files_now(self, channel: str) -> None:
        for stream in self._streams[channel]:
            if stream.transfers is not None:
                stream.transfers.wanted(channel)
        self._poll_now(channel)

    def _poll_all_now(self) -> None:
        for channel in self.channels():
            self._poll_files_now(channel)

    def _on_ready(self, channel: str, what: Ready) -> None:
        """Another node has sent a notice."""
        match what:
            case Ready.REPLIES:
                self._poll_now(channel)
            case Ready.FILES:
                self._poll_files_now(channel)
            case Ready.CREDIT:
                for stream in self._streams[channel]:
                    stream.settled_elsewhere()

    def offered_lease(self, person_id: str, channel: str, address: str) -> StreamOffer:
        """Reserve the credit of a stream for the first reply that a transaction of this person stores.

        While older replies wait for credit, no stream is offered, since those come first.
        """
        return StreamOffer(self._offers, person_id, channel, address)

    def _roomiest(self, channel: str, address: str) -> PullStream | None:
        """The stream here that serves the address and has the most room; None: none has any."""
        if not self._may_lease:
            return None
        found, most = None, 0
        for stream in self._streams[channel]:
            if stream.serves(address) and (room := stream.room) > most and not self._polls[stream.scope].has_backlog:
                found, most = stream, room
        return found

    @property
    def _may_lease(self) -> bool:
        """If not fresh, another node may have removed this one and shortened its leases: no send may begin then."""
        return not self._closed and self._cluster.is_fresh

    def _is_attached(self, stream: PullStream) -> bool:
        return stream in self._streams[stream.channel] and not stream.ended and self._cluster.is_fresh

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
        """Yields leases, with the seconds that each lasts from now, until the process drains.

        With `transfers` these include files to fetch. With `typing_interval`, in seconds, they include the typing
        status at that interval.
        """
        if not self._cluster.is_fresh:
            raise StoreUnavailable
        generation = await self._store.open_puller(channel, instance, now=self._clock())
        puller = Puller(channel, instance, self._cluster.me, generation)
        stream = PullStream(puller, addresses, max_in_flight, transfers)
        if transfers is not None:
            transfers.wanted(channel)
        typing = TypingStream(channel, addresses, typing_interval, stream.wakeup.set) if typing_interval else None
        self._streams[channel] += (stream,)
        try:
            with self.typing.stream(typing), stream.polled_every(POLL_SECONDS, lambda: self._cluster.is_fresh):
                while self._may_lease and not stream.ended:
                    if poll_is_due := stream.poll_is_due:
                        stream.note_poll()
                        async with stream.interruptible():
                            await self._lease(stream)
                    while stream.unsent and self._is_attached(stream):
                        lease = stream.unsent.popleft()
                        yield lease, lease.expires_at - self._clock()
                    if poll_is_due:
                        for wanted in await self._lease_files(stream):
                            yield wanted, wanted.leased_until - self._clock()
                    while typing and typing.items and (item := typing.take()):
                        yield item, typing.interval
                    await stream.wakeup.wait()
                    stream.wakeup.clear()
            if not self._cluster.is_fresh:
                raise StoreUnavailable
        finally:
            self._streams[channel] = tuple(other for other in self._streams[channel] if other is not stream)
            await self._end(stream)

    async def _lease(self, stream: PullStream) -> None:
        """Poll the store for replies within the stream's credit."""
        poll = self._polls[stream.scope]
        async with poll.one_at_a_time:
            wakeups = self._wakeups[stream.channel]
            if stream.check_is_due(POLL_SECONDS):
                await self._check(stream)
            if poll.found_all(wakeups, within=POLL_SECONDS / 2):
                return
            # Without a backlog few replies are found, and offers need credit, too.
            room = min(BATCH, stream.credit if poll.has_backlog else -(-stream.credit // 2))
            if not room:
                if not poll.is_stuck:
                    self._others.send(stream.channel, Ready.REPLIES)
                poll.note_stuck()
                return
            stream.reserved += room
            try:
                leases = await self._lease_from_store(stream, room)
            finally:
                stream.reserved -= room
            if leases is None:
                stream.end()
                self.ready(stream.channel)  # for the streams of other instances
                return
            stream.take(leases)
            if len(leases) < room:
                poll.note(wakeups)
            else:
                poll.has_backlog = True
                stream.poll_now()

    async def _check(self, stream: PullStream) -> None:
        """Compare what it holds with the store, since other nodes settle and extend leases, too."""
        replies, files = stream.replies, stream.files
        stream.compare(replies, await self._store.leased_until(replies), self._clock())
        if stream.transfers is not None and files:
            stream.compare(files, await stream.transfers.leased_until(files), self._clock())

    async def _lease_from_store(self, stream: PullStream, room: int) -> list[Lease] | None:
        leasing = asyncio.ensure_future(
            self._store.lease(stream.puller, stream.addresses, limit=room, seconds=LEASE_SECONDS, now=self._clock())
        )
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:  # the stream ended while they were leased
            self._offers.release_later(self._release_unseen(leasing), stream.channel)
            raise

    async def _release_unseen(self, leasing: asyncio.Future[list[Lease] | None]) -> None:
        await self._release(await leasing or [])

    async def _lease_files(self, stream: PullStream) -> list[MediaWanted]:
        """Lease files to fetch, within the remaining credit."""
        room = min(BATCH, stream.credit)
        if stream.transfers is None or not room or stream.ended:
            return []
        stream.reserved += room
        try:
            async with stream.interruptible():
                files = await stream.transfers.lease(stream.puller, stream.addresses, room)
        finally:
            stream.reserved -= room
        stream.held.update({file.media_id: file for file in files})
        return files

    async def _end(self, stream: PullStream) -> None:
        """The caller receives the end at once, even if the store does not answer."""
        self._to_expire.append((stream.replies, self._clock() + outbox.SENDING_SECONDS))
        if self._cluster.is_fresh:
            await self._give_back(stream)
        else:
            self._offers.release_later(self._give_back(stream), stream.channel)

    async def _give_back(self, stream: PullStream) -> None:
        if all(other.scope != stream.scope for other in self._streams[stream.channel]):
            self._polls.pop(stream.scope, None)  # a channel may give other addresses with each stream
        if stream.unsent:
            await self._release(stream.unsent)
            self.ready(stream.channel)
        if stream.transfers is not None and (files := stream.files):
            # Fetching a file twice is harmless, but waiting for a channel that is gone is not.
            await stream.transfers.release(files)
            self.wanted(stream.channel)
        await self._expire_leases()

    async def _release(self, leases: Sequence[Lease]) -> None:
        """Release leases that no channel has seen, so that they need not expire first."""
        if leases:
            await self._store.release([(lease.reply.id, lease.token) for lease in leases])

    async def _expire_leases(self) -> None:
        """Shorten the leases of ended streams, since no new send begins under them.

        A later sweep repeats this if the store is unavailable.
        """
        to_expire, self._to_expire = self._to_expire, []
        try:
            for leases, until in to_expire:
                await self._store.expire_leases(leases, until=until)
        except BaseException:
            self._to_expire += to_expire
            raise

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """Make the leases of an instance available at once, except those it is processing. Returns how many replies."""
        for stream in self._streams[channel]:
            if stream.puller.instance == instance:
                stream.end()  # its end may not be detected here yet: it must not lease again after this
        released = await self._store.release_leases(channel, instance, in_hand)
        self._poll_now(channel)
        self._others.send(channel, Ready.REPLIES)  # also to a stream of the instance, which ends when it polls
        return released

    def fetched(self, channel: str, media_id: str, token: str) -> None:
        """A channel has delivered a file, or has failed to, so its stream has credit for another."""
        self._return_credit(channel, media_id)
        self._others.send_credit(channel, {node_mark_in(token)})
        self.wanted(channel)

    async def settle(self, channel: str, acks: Sequence[PartAck]) -> list[AckResult]:
        settled = await self._store.settle(channel, acks, now=self._clock())
        ended = [
            ack
            for ack, result in zip(acks, settled.results, strict=True)
            if result is AckResult.RECORDED and (ack.outcome is not Outcome.SENT or ack.part == ack.parts)
        ]
        for ack in ended:
            self._return_credit(channel, ack.reply_id)
        if not self._cluster.is_alone:
            self._others.send_credit(channel, {node_mark_in(ack.token) for ack in ended})
        self._poll_if(channel, settled.frees)
        return settled.results

    async def extend(self, channel: str, leases: Sequence[tuple[str, str]]) -> list[bool]:
        """Extend leases (reply id, token) to LEASE_SECONDS from now. Returns for each whether it is valid."""
        now = self._clock()
        until = now + LEASE_SECONDS
        held = await self._store.extend_leases(channel, leases, until=until, now=now)
        for (reply_id, token), is_held in zip(leases, held, strict=True):
            if is_held:
                for stream in self._streams[channel]:
                    stream.extend(reply_id, token, until)
        return held

    async def receive(self, channel: str, receipts: Sequence[PartReceipt]) -> int:
        received = await self._store.receive(channel, receipts, now=self._clock())
        self._poll_if(channel, received.frees)
        return received.recorded

    def _poll_if(self, channel: str, frees: bool) -> None:
        """Poll if the person's next reply, or one that waited for credit, can be leased now."""
        if frees:
            self.ready(channel)
            return
        for stream in self._streams[channel]:
            if self._polls[stream.scope].has_backlog:
                self._poll_now(channel)
                return

    def _return_credit(self, channel: str, item_id: str) -> None:
        for stream in self._streams[channel]:
            was_full = not stream.credit
            if stream.held.pop(item_id, None) is not None and was_full:
                stream.poll_now()

    async def sweep(self) -> None:
        """Put replies with expired leases in doubt, and make those pending whose grace is over.

        One node does it for all.
        """
        now = self._clock()
        passed, self._swept_at = min(now - self._swept_at, MOST_CONNECTED_SECONDS), now
        if self._cluster.is_leader:
            await self._sweep_all(passed, now)
        await self._expire_leases()

    async def retry_held(self) -> None:
        """Make held replies pending that are due for a retry although the person has not written."""
        now = self._clock()
        for channel in await self._store.retry_held(
            asked_recently=now - ASKED_RECENTLY_SECONDS,
            asked_before=now - DAY_SECONDS,
            made_after=now - RETRY_DAYS * DAY_SECONDS,
            now=now,
        ):
            self._poll_now(channel)
            self._others.send(channel, Ready.REPLIES)

    async def _sweep_all(self, passed: float, now: float) -> None:
        for channel in await self._store.expire_orphans(until=now + outbox.SENDING_SECONDS, now=now):
            self.wanted(channel)
        connected = self._others.connected_elsewhere().union(self.channels())
        if await self._store.sweep(
            grace=GRACE_SECONDS,
            longest_grace=LONGEST_GRACE_SECONDS,
            connected=sorted(connected),
            seconds=passed,
            now=now,
        ):
            for channel in connected:
                self._poll_now(channel)
                self._others.send(channel, Ready.REPLIES)

    def close(self) -> None:
        """End every stream: its client pulls from another process."""
        self._closed = True
        for stream in chain.from_iterable(self._streams.values()):
            stream.wakeup.set()
