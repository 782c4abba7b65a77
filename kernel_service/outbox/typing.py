"""Typing: sends channels the people who are being answered, from the start of a turn's work until it ends or waits.

One stream of the channel gets each item, and repeats of it at its interval. A new stream gets all current items.
Nothing is stored, and an item that is over before the stream takes it is dropped. A channel without a stream that
wants typing costs one dictionary entry for each turn.

If no stream at this node serves the message's address, the other nodes of the channel are notified, at first and
every few seconds, since a stream may open there meanwhile. They show it at the intervals of their streams, for as long
as the store has its turn as open.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kernel_service.errors import KernelError
from kernel_service.ports.typing import TypingItem, TypingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kernel_service.ports.messages import Message
    from kernel_service.ports.outbox import OutboxStore
    from kernel_service.ports.turns import Turn, TurnMessage

log = logging.getLogger(__name__)

MOST_USER_IDS: Final = 10_000
"""The size of the cache for messages whose turn has not ended. Other user ids are looked up."""
ELSEWHERE_SECONDS: Final = 5.0
"""The interval between notices to other nodes about the same message."""


class TypingStream:
    """The pending items of one stream, by message. `interval`: seconds between repeats of an item."""

    def __init__(self, channel: str, addresses: Sequence[str], interval: float, wake: Callable[[], None]) -> None:
        self.channel = channel
        self.interval = interval
        self._addresses = frozenset(addresses)
        self._wake = wake
        self.items: dict[int, TypingItem] = {}
        """By message, the oldest first."""

    def serves(self, channel: str, address: str) -> bool:
        return channel == self.channel and (not self._addresses or address in self._addresses)

    def put(self, seq: int, item: TypingItem) -> None:
        self.items[seq] = item
        self._wake()

    def drop(self, seq: int) -> None:
        self.items.pop(seq, None)

    def take(self) -> TypingItem | None:
        """Take the oldest item."""
        return self.items.pop(next(iter(self.items))) if self.items else None


class _Work:
    """The work on one message: the stream that shows it, and the time of the next item (the loop's); None: no item."""

    def __init__(self, message: TurnMessage) -> None:
        self.message = message
        self.stream: TypingStream | None = None
        self.repeats_at: float | None = None
        self.lookup: asyncio.Task[None] | None = None


class Typing(TypingStatus):
    """One per process."""

    def __init__(self, store: OutboxStore, notify_others: Callable[[str, str, int], bool]) -> None:
        """`notify_others` takes a channel, an address and a message.

        False: there is no other node, or a stream here shows it.
        """
        self._store = store
        self._notify_others = notify_others
        self._shown_until: dict[int, float] = {}
        """When a message that another node works on is shown again, by the loop's time."""
        self._streams: list[TypingStream] = []
        self._works: dict[int, _Work] = {}
        self._user_ids: dict[int, str] = {}
        self._repeats: list[tuple[float, int]] = []
        """A heap of the times of next items. Those of works that are over are ignored."""
        self._timer: asyncio.TimerHandle | None = None

    def accepted(self, seq: int, message: Message) -> None:
        """Cache the sender if a stream wants typing, since the store has the sender sealed."""
        channel = message.channel
        for stream in self._streams:
            if stream.channel == channel:
                if len(self._user_ids) >= MOST_USER_IDS:
                    self._user_ids.clear()
                self._user_ids[seq] = message.user_id
                return

    def begin(self, turn: Turn) -> None:
        message = turn.messages[-1]
        self._works[message.seq] = work = _Work(message)
        self._send(work)

    def end(self, turn: Turn) -> None:
        for message in turn.messages:
            self._user_ids.pop(message.seq, None)
        work = self._works.pop(turn.messages[-1].seq, None)
        if work is None:
            return
        if work.stream is not None:
            work.stream.drop(work.message.seq)
        if work.lookup is not None:
            work.lookup.cancel()

    def person_deleted(self, _: str) -> None:
        """A person was deleted. No turn of their waiting messages would drop the user id from the cache."""
        self._user_ids.clear()

    @contextmanager
    def stream(self, stream: TypingStream | None) -> Iterator[None]:
        """Inside the block the stream gets items; None: it wants no items."""
        if stream is None:
            yield
            return
        self._streams.append(stream)
        try:
            for work in list(self._works.values()):
                if stream.serves(work.message.channel, work.message.address):
                    self._send(work)
            yield
        finally:
            self._streams.remove(stream)

    def _send(self, work: _Work) -> None:
        """Send an item now, and again after the interval of the receiving stream."""
        work.repeats_at = None
        message = work.message
        stream = self._stream_for(message.channel, message.address)
        if stream is None:
            if self._notify_others(message.channel, message.address, message.seq):
                self._repeat_after(work, ELSEWHERE_SECONDS)
            return
        self._repeat_after(work, stream.interval)
        if (user_id := self._user_ids.get(work.message.seq)) is not None:
            self._put(work, stream, user_id)
        elif work.lookup is None or work.lookup.done():
            work.lookup = asyncio.create_task(self._look_up(work, stream))

    def _stream_for(self, channel: str, address: str) -> TypingStream | None:
        """The next item goes to another stream of the channel, if it has several."""
        for place, stream in enumerate(self._streams):
            if stream.serves(channel, address):
                self._streams.append(self._streams.pop(place))
                return stream
        return None

    def _repeat_after(self, work: _Work, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        work.repeats_at = loop.time() + seconds
        heapq.heappush(self._repeats, (work.repeats_at, work.message.seq))
        if self._timer is None or work.repeats_at < self._timer.when():
            self._set_timer(loop)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer serves all works, and stays when a work ends: most turns end before their first repeat."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._repeats[0][0], self._repeat)

    def _repeat(self) -> None:
        """Send the items that are due."""
        loop = asyncio.get_running_loop()
        self._timer, now = None, loop.time()
        while self._repeats and (self._repeats[0][0] <= now or not self._is_current(self._repeats[0])):
            repeat = heapq.heappop(self._repeats)
            if self._is_current(repeat):
                self._send(self._works[repeat[1]])
        if self._repeats:
            self._set_timer(loop)

    def _is_current(self, repeat: tuple[float, int]) -> bool:
        when, seq = repeat
        work = self._works.get(seq)
        return work is not None and work.repeats_at == when

    async def _look_up(self, work: _Work, stream: TypingStream) -> None:
        """Look up the sender for a turn of another process, or of a message that came before any stream."""
        if (item := await self._stored(work.message.seq)) is not None:
            self._user_ids[work.message.seq] = item.user_id
            self._put(work, stream, item.user_id)

    async def _stored(self, seq: int) -> TypingItem | None:
        try:
            return await self._store.typing_item(seq)
        except KernelError as error:
            log.warning("typing is not shown: %s", error.reason)
            return None

    async def show(self, channel: str, seq: int) -> None:
        """Another node works on this message, and repeats the call for as long as that lasts."""
        now = asyncio.get_running_loop().time()
        intervals = [stream.interval for stream in self._streams if stream.channel == channel]
        if not intervals or self._shown_until.get(seq, now) > now:
            return
        if len(self._shown_until) >= MOST_USER_IDS:
            self._shown_until.clear()
        self._shown_until[seq] = now + min(intervals)
        item = await self._stored(seq)
        if item is not None and (stream := self._stream_for(channel, item.address)) is not None:
            stream.put(seq, item)

    def _put(self, work: _Work, stream: TypingStream, user_id: str) -> None:
        if work.stream is not None:
            work.stream.drop(work.message.seq)
        work.stream = stream
        stream.put(work.message.seq, TypingItem(user_id, work.message.address, work.message.message_id))
