"""The open streams of this process, and which of them carries a call."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from kernel_client.stream import ChannelStream

MOST_REMEMBERED: Final = 100_000
"""People whose node is remembered, about 100 bytes each."""
CHECK_SECONDS: Final = 0.5


class Streams:
    """A person's messages go to the node that runs their turns, if it is known and answers; all else goes in turn."""

    def __init__(self) -> None:
        self.several = False
        """Whether there is a choice."""
        self._streams: list[ChannelStream] = []
        self._node_of: OrderedDict[int, str] = OrderedDict()
        self._turn = 0
        self._check: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """How many carry calls."""
        return sum(stream.is_open for stream in self._streams)

    def add(self, stream: ChannelStream) -> None:
        """It may carry calls as soon as its service serves it."""
        self._streams.append(stream)
        self.several = len(self._streams) > 1
        self._check_later()

    def discard(self, stream: ChannelStream) -> None:
        """It has ended."""
        self._streams.remove(stream)
        self.several = len(self._streams) > 1

    def remember(self, user_id: str, node_id: str) -> None:
        """The service named the node that runs this person's turns; empty: it did not."""
        if not node_id:
            return
        person = hash(user_id)  # not the id itself, which is personal data
        self._node_of[person] = node_id
        self._node_of.move_to_end(person)
        if len(self._node_of) > MOST_REMEMBERED:
            self._node_of.popitem(last=False)

    def node_of(self, user_id: str) -> str:
        """The node that runs this person's turns, as far as this process knows; empty: unknown."""
        return self._node_of.get(hash(user_id), "")

    def best(self, node_id: str = "", tried: Sequence[ChannelStream] = ()) -> ChannelStream | None:
        """The open stream for a call, to this node if it can be, which none of the tried ones answered; None: none."""
        if not (self.several or tried):
            return self._streams[0] if self._streams and self._streams[0].is_open else None
        usable = [stream for stream in self._streams if stream.is_open and stream not in tried]
        if len(usable) > 1:
            usable = [stream for stream in usable if not stream.is_avoided] or usable
        if len(usable) < 2:  # noqa: PLR2004
            return usable[0] if usable else None
        named = next((stream for stream in usable if node_id and stream.node_id == node_id), None)
        if named is not None:
            return named
        self._turn += 1
        return usable[self._turn % len(usable)]

    def _check_later(self) -> None:
        if self._check is None and self.several:
            self._check = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._avoid_silent)

    def _avoid_silent(self) -> None:
        """Repeat the calls of silent streams over the others, unless all are silent: then the database is slow."""
        opened = [stream for stream in self._streams if stream.is_open]
        silent = [stream for stream in opened if stream.is_silent()]
        if any(not stream.is_avoided for stream in opened if stream not in silent):
            for stream in silent:
                stream.avoid()
        self._check = None
        self._check_later()
