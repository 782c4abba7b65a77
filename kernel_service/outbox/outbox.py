"""The out-door: hands leased replies to those who pull, within their credit, and settles what they acknowledge.

Whoever takes them is handed the files that their channel is to fetch, too; their state is kept by `media/transfers.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, overload

from kernel_service.ports import outbox
from kernel_service.ports.media import MediaWanted
from kernel_service.ports.outbox import AckResult, Lease, Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.ports.outbox import OutboxStore, PartAck, PartReceipt

LEASE_SECONDS = 60.0
GRACE_SECONDS = 15.0
"""How long a reply in doubt waits for a receipt before it is sent again, while a process of the channel pulls.

After the death of a channel's process its replies are answered within 45 seconds: 5 until a vanished host is noticed
(`rpc/listener.py`), 20 in which it may still be sending (SENDING_SECONDS), these 15, two sweeps, and the send.
"""
PATIENCE_SECONDS = 300.0
"""The most that it waits, of the same time, where the channel was away for long."""
MOST_ATTENDED_SECONDS = 5.0
"""The most that counts from one sweep to the next: after more this process was stopped, and no receipt could come."""
POLL_SECONDS = 1.0
"""How soon a reply that became due by time alone (a back-off, a grace) is seen."""
BATCH = 64


class Outbox:
    """One per process; each pulling stream is a `Pull`."""

    def __init__(self, store: OutboxStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._pulls: set[Pull] = set()
        self._news: Counter[str] = Counter()
        self._looks: defaultdict[tuple[str, frozenset[str]], Look] = defaultdict(Look)
        self._broken: list[tuple[list[tuple[str, str]], float]] = []
        self._swept_at = clock()
        self._closed = False

    async def take_over(self) -> None:
        """Streams end with their process: what an earlier one leased ends as if its stream had broken now."""
        await self._store.expire_leases(None, until=self._clock() + outbox.SENDING_SECONDS)

    def ready(self, channel: str) -> None:
        """Something may be leased in this channel: look at once."""
        self._news[channel] += 1
        for pull in self._pulls:
            if pull.channel == channel:
                pull.look.set()

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
    ) -> AsyncIterator[tuple[Lease | MediaWanted, float]]: ...
    async def pull(
        self,
        channel: str,
        addresses: Sequence[str],
        max_in_flight: int,
        instance: str,
        *,
        transfers: MediaTransfers | None = None,
    ) -> AsyncIterator[tuple[Lease | MediaWanted, float]]:
        """Leases as they come, of the desk's files too, and for how many seconds each lasts from now.

        Until the process drains.
        """
        pull = Pull(channel, addresses, max_in_flight, instance)
        self._pulls.add(pull)
        unsent: list[Lease] = []
        try:
            while not (self._closed or pull.ended):
                pull.look.clear()
                unsent = await self._lease(pull, addresses)
                while unsent and not pull.ended:
                    lease = unsent.pop(0)
                    yield lease, lease.expires_at - self._clock()
                for wanted in await self._wanted(pull, addresses, transfers):
                    yield wanted, wanted.leased_until - self._clock()
                await pull.wait()
        finally:
            self._pulls.discard(pull)
            self._forget_look(pull)
            self._broken.append((pull.replies, self._clock() + outbox.SENDING_SECONDS))
            await self._hand_back(channel, unsent)
            await self._ask_others(pull, transfers)
            await self._cut()

    async def _lease(self, pull: Pull, addresses: Sequence[str]) -> list[Lease]:
        room = min(pull.room(self._clock()), BATCH)
        if not room:
            return []
        look = self._looks[pull.place]
        async with look.one_at_a_time:
            news = self._news[pull.channel]
            if look.found_no_more(news):
                return []
            leases = await self._take(pull, addresses, room)
            if len(leases) < room:
                look.note(news)
        pull.leased.update({lease.reply.id: lease for lease in leases})
        if len(leases) == room:
            pull.look.set()
        return leases

    async def _take(self, pull: Pull, addresses: Sequence[str], room: int) -> list[Lease]:
        now = self._clock()
        leasing = asyncio.ensure_future(
            self._store.lease(
                pull.channel, addresses, instance=pull.instance, limit=room, seconds=LEASE_SECONDS, now=now
            )
        )
        try:
            return await asyncio.shield(leasing)
        except asyncio.CancelledError:  # the stream ended while they were leased
            await self._hand_back(pull.channel, await leasing)
            raise

    def _forget_look(self, pull: Pull) -> None:
        """A channel may name other addresses with each stream."""
        if all(other.place != pull.place for other in self._pulls):
            self._looks.pop(pull.place, None)

    async def _hand_back(self, channel: str, leases: Sequence[Lease]) -> None:
        """What no channel has seen need not wait for its lease to lapse."""
        if leases:
            await self._store.release([(lease.reply.id, lease.token) for lease in leases])
            self.ready(channel)

    async def _cut(self) -> None:
        """The leases of streams that have ended end soon: nothing is begun under them any more.

        Cuts that the store does not take now are made by a later sweep.
        """
        broken, self._broken = self._broken, []
        try:
            for leases, until in broken:
                await self._store.expire_leases(leases, until=until)
        except BaseException:
            self._broken += broken
            raise

    async def release(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        """What the instance holds, but for what is in its hands, may be leased at once; how many replies."""
        for pull in self._pulls:
            if (pull.channel, pull.instance) == (channel, instance):
                pull.end()  # its end may not be known here yet: it must not lease again after this
        released = await self._store.release_leases(channel, instance, in_hand)
        self.ready(channel)
        return released

    async def _wanted(
        self, pull: Pull, addresses: Sequence[str], transfers: MediaTransfers | None
    ) -> list[MediaWanted]:
        """Files to fetch, within what is left of the credit."""
        room = min(pull.room(self._clock()), BATCH)
        if transfers is None or not room or pull.ended:
            return []
        found = await transfers.lease(pull.channel, addresses, room)
        pull.leased.update({wanted.media_id: wanted for wanted in found})
        return found

    async def _ask_others(self, pull: Pull, transfers: MediaTransfers | None) -> None:
        """A stream has ended: to fetch a file twice does no harm, and to wait for a channel that is gone does."""
        held = pull.wanted
        if transfers is not None and held:
            await transfers.hand_back(held)
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
        recorded = await self._store.receive(channel, receipts, now=self._clock())
        self.ready(channel)  # a settled doubt lets the person's next reply go
        return recorded

    def _give_credit_back(self, item_id: str) -> None:
        for pull in self._pulls:
            pull.leased.pop(item_id, None)

    async def sweep(self) -> None:
        """Put lapsed leases in doubt, and doubts past their time back."""
        now = self._clock()
        passed, self._swept_at = min(now - self._swept_at, MOST_ATTENDED_SECONDS), now
        attended = {pull.channel for pull in self._pulls}
        if await self._store.sweep(
            grace=GRACE_SECONDS, patience=PATIENCE_SECONDS, attended=sorted(attended), seconds=passed, now=now
        ):
            for channel in attended:
                self.ready(channel)
        await self._cut()

    def close(self) -> None:
        """End every stream: its client pulls from whoever comes next."""
        self._closed = True
        for pull in self._pulls:
            pull.look.set()


class Look:
    """What the streams know together that pull for the same addresses of a channel: one asks the store for all.

    So a hundred idle streams cost as much as one. Streams of several processes are no different: what one of them
    finds, none of the others would have found as well.
    """

    def __init__(self) -> None:
        self.one_at_a_time = asyncio.Lock()
        self._news = -1
        self._at = float("-inf")

    def found_no_more(self, news: int) -> bool:
        """Whether the store was asked recently, and since the newest notice."""
        return news == self._news and asyncio.get_running_loop().time() - self._at < POLL_SECONDS / 2

    def note(self, news: int) -> None:
        """There was no more than was taken."""
        self._news, self._at = news, asyncio.get_running_loop().time()


class Pull:
    """One stream's credit: the replies and the files to fetch that it holds, by their ids."""

    def __init__(self, channel: str, addresses: Sequence[str], max_in_flight: int, instance: str) -> None:
        self.channel = channel
        self.place = channel, frozenset(addresses)
        self.instance = instance
        self.look = asyncio.Event()
        self.leased: dict[str, Lease | MediaWanted] = {}
        self.ended = False
        self._max_in_flight = max_in_flight

    @property
    def replies(self) -> list[tuple[str, str]]:
        """Those that it holds, with their tokens."""
        return [(item.reply.id, item.token) for item in self.leased.values() if isinstance(item, Lease)]

    @property
    def wanted(self) -> list[MediaWanted]:
        """The files to fetch that it holds."""
        return [item for item in self.leased.values() if isinstance(item, MediaWanted)]

    def end(self) -> None:
        self.ended = True
        self.look.set()

    def room(self, now: float) -> int:
        self.leased = {item_id: item for item_id, item in self.leased.items() if _ends_at(item) > now}
        return max(0, self._max_in_flight - len(self.leased))

    async def wait(self) -> None:
        """Until there may be something: a word, or the poll's time."""
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self.look.wait()
        except TimeoutError:
            return


def _ends_at(item: Lease | MediaWanted) -> float:
    return item.expires_at if isinstance(item, Lease) else item.leased_until
