"""One stream that pulls from the outbox: its credit and its leases."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.outbox import Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from kernel_service.media.transfers import MediaTransfers
    from kernel_service.ports.media import MediaWanted
    from kernel_service.ports.outbox import Puller

MOST_UNSENT: Final = 16
"""A stream with this many pushed leases that it has not sent gets no further ones: its channel does not read."""


class PullStream:
    """`held`: replies and files to fetch that are leased to the stream, by their ids. `max_in_flight` is its credit.

    `unsent`: leases, of `held`, that it has yet to send. `transfers`: for the files that it takes; None: it takes none.
    `reserved`: credit that no other lease may use now. `poll_is_due`: something may be leased.
    """

    def __init__(
        self, puller: Puller, addresses: Sequence[str], max_in_flight: int, transfers: MediaTransfers | None
    ) -> None:
        self.puller = puller
        self.channel = puller.channel
        self.addresses = addresses
        self.scope = puller.channel, frozenset(addresses)
        self.transfers = transfers
        self.wakeup = asyncio.Event()
        self.poll_is_due = True
        self._polled_at = 0.0
        self.held: dict[str, Lease | MediaWanted] = {}
        self.unsent: deque[Lease] = deque()
        self.ended = False
        self._max_in_flight = max_in_flight
        self.reserved = 0
        self._checked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Timeout | None = None

    @property
    def replies(self) -> list[tuple[str, str]]:
        """The replies that it holds, with their tokens."""
        return [(item.reply.id, item.token) for item in self.held.values() if isinstance(item, Lease)]

    @property
    def files(self) -> list[tuple[str, str]]:
        """The files to fetch that it holds, with their tokens."""
        return [(item.media_id, item.token) for item in self.held.values() if not isinstance(item, Lease)]

    def serves(self, address: str) -> bool:
        return not self.addresses or address in self.addresses

    def extend(self, reply_id: str, token: str, until: float) -> None:
        """Extend the lease to this time, if the stream holds it."""
        match self.held.get(reply_id):
            case Lease(token=held) as lease if held == token:
                self.held[reply_id] = replace(lease, expires_at=until)

    def take(self, leases: Sequence[Lease]) -> None:
        """Hold these leases, and send them."""
        self.held.update({lease.reply.id: lease for lease in leases})
        self.unsent.extend(leases)

    def push(self, lease: Lease) -> None:
        """Send a lease that no poll has found."""
        self.held[lease.reply.id] = lease
        self.unsent.append(lease)
        self.wakeup.set()

    def poll_now(self) -> None:
        """Make a poll due, since something may be leased. Other wakeups do not poll the store."""
        self.poll_is_due = True
        self.wakeup.set()

    def note_poll(self) -> None:
        """A poll begins. One that becomes due meanwhile comes after it."""
        self.poll_is_due = False
        self._polled_at = asyncio.get_running_loop().time()

    def end(self) -> None:
        self.ended = True
        self.wakeup.set()

    @property
    def credit(self) -> int:
        """The number of further leases that it may hold."""
        return max(0, self._max_in_flight - len(self.held) - self.reserved)

    @property
    def room(self) -> int:
        """The number of leases that may be pushed to it."""
        return self.credit if len(self.unsent) < MOST_UNSENT and not self.ended else 0

    def settled_elsewhere(self) -> None:
        """A lease that it holds was settled at another node."""
        self._checked_at = 0.0
        if not self.credit:
            self.poll_now()

    def check_is_due(self, seconds: float) -> bool:
        """Whether it has no credit, and what it holds was not compared with the store for this time.

        True once for each due check.
        """
        now = asyncio.get_running_loop().time()
        if self.credit or now - self._checked_at < seconds:
            return False
        self._checked_at = now
        return True

    def compare(self, leases: Sequence[tuple[str, str]], until: Sequence[float | None], now: float) -> None:
        """Hold only those of the leases (id, token) that last, by the times that the store has. None: it has none."""
        for (item_id, token), ends_at in zip(leases, until, strict=True):
            item = self.held.get(item_id)
            if item is None or item.token != token:
                continue
            if ends_at is None or ends_at <= now:
                del self.held[item_id]
            else:
                self.extend(item_id, token, ends_at)

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """The store may not answer in the block. Raises `StoreUnavailable` if `interrupt` is called meanwhile."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                yield
        except TimeoutError:
            raise StoreUnavailable from None
        finally:
            self._waiting = None

    def interrupt(self) -> None:
        """End it, also while it waits for the store."""
        self.end()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    @contextmanager
    def polled_every(self, seconds: float, may_last: Callable[[], bool]) -> Iterator[None]:
        """A poll is due at the latest this long after the one before it, during the block.

        The wakeups of replies and typing items start no timer. It is interrupted once `may_last` returns False.
        """
        self._poll_in_time(seconds, may_last)
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def _poll_in_time(self, seconds: float, may_last: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        if not may_last():
            self.interrupt()
        if self._polled_at + seconds <= loop.time():
            self.poll_now()
            self._polled_at = loop.time()
        self._timer = loop.call_at(self._polled_at + seconds, self._poll_in_time, seconds, may_last)
