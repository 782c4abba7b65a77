"""Callers that wait for the turn that answers their message, which may run at another node.

The node that ends the turn notifies the others. A notice may be lost, so the inbox also queries the store each second,
and after a change of the nodes or an interruption of the notices every caller checks again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kernel_service.errors import Unavailable
from kernel_service.ports.messages import ReplyMode
from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices
    from kernel_service.ports.turns import Turn


MESSAGES_PER_NOTICE: Final = 200
"""Messages in one notice, whose length a database limits."""


class Waiters:
    """Waiters by the message's number in the inbox. One message may have several (a repeated call)."""

    def __init__(self, notices: Notices, cluster: Cluster) -> None:
        self._notices = notices
        self._cluster = cluster
        notices.on(NoticeKind.ENDED, lambda notice: self.ended(map(int, notice.numbers)))
        notices.on_missed(self._recheck)
        cluster.on_change(self._recheck)
        self._futures: defaultdict[int, list[asyncio.Future[None]]] = defaultdict(list)

    @contextmanager
    def waiting(self, seq: int) -> Iterator[asyncio.Future[None]]:
        """A future that is done when the message's turn ends. Enter it before reading the store."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures[seq].append(future)
        try:
            yield future
        finally:
            if future.done() and not future.cancelled():
                future.exception()  # its caller may have its answer, or have given up, before the service ends
            self._futures[seq].remove(future)
            if not self._futures[seq]:
                del self._futures[seq]

    def turn_ended(self, turn: Turn) -> None:
        if self._futures:
            self.ended(message.seq for message in turn.messages)
        if not self._cluster.is_alone:
            self._notify([message.seq for message in turn.messages if message.reply_mode is ReplyMode.INLINE])

    def withdrawn(self, seqs: Sequence[int]) -> None:
        """These messages ended without a turn."""
        self.ended(seqs)
        self._notify(seqs)

    def ended(self, seqs: Iterable[int]) -> None:
        """End the waits for these messages."""
        for seq in seqs:
            for future in self._futures.get(seq, ()):
                if not future.done():
                    future.set_result(None)

    @property
    def may_end_elsewhere(self) -> list[int]:
        """The messages with a waiter, if they may end at another node."""
        return list(self._futures) if self.has_others else []

    def _notify(self, seqs: Sequence[int]) -> None:
        if self.has_others:
            for first in range(0, len(seqs), MESSAGES_PER_NOTICE):
                self._notices.send_to_all(
                    NodeNotice(NoticeKind.ENDED, numbers=tuple(seqs[first : first + MESSAGES_PER_NOTICE]))
                )

    @property
    def has_others(self) -> bool:
        """Whether turns may run at another node."""
        return not self._cluster.is_alone

    def _recheck(self) -> None:
        self.ended(list(self._futures))

    def close(self) -> None:
        """End all waits. The messages stay accepted, and a repeated call waits in another process."""
        for futures in self._futures.values():
            for future in futures:
                if not future.done():
                    future.set_exception(Unavailable("DRAINING", "this service is shutting down; repeat the call"))
