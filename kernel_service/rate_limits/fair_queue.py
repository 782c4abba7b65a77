"""Vendor quota is shared by round-robin fair queueing across people, each of whom is a tenant of the queue.

A tenant's first request joins the round after the one in service, and each further request the next round. So a flood
from one tenant waits in later rounds than the requests of others. No request joins a round that is being served, so a
queue that never empties starves no tenant. Work that no person waits for (`yielding`) comes after all rounds of the
rest, and background work comes last.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from kernel_service.errors import Busy
from kernel_service.rate_limits.current_tenant import BACKGROUND, current_tenant, is_yielding
from kernel_service.rate_limits.token_bucket import Rate, TokenBucket
from kernel_service.rate_limits.wait_histogram import WaitHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAIT_SECONDS: Final = 2.0
"""How long a request waits in memory. One that would wait longer is deferred, and its ticket is kept."""
TICKET_SECONDS: Final = 30.0
"""How long the ticket of a deferred request is kept after its retry time."""
MAX_PAUSE_SECONDS: Final = 300.0
"""The longest pause that a vendor's answer causes. Then one request probes the vendor."""
MIN_PAUSE_SECONDS: Final = 1.0
NEWS_SECONDS: Final = 0.5
"""A pause that ends at most this much later than the one before is not told again."""
BURST_SECONDS: Final = 5.0
TENANT_BURST_SECONDS: Final = 15.0
COST_SMOOTHING: Final = 0.1
"""The weight of one request in the moving average of what requests cost."""


class Timeline(Protocol):
    """An event loop's clock and timers."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


Rank = tuple[bool, float, int]


@dataclass(eq=False, slots=True)
class Ticket:
    """A request's position in the queue. Its caller awaits `admitted`; or it was deferred, and its `expiry` runs.

    `rank`: whether it yields, its round, and its number.
    """

    rank: Rank
    tenant: str
    since: float
    admitted: asyncio.Future[None] | None = None
    expiry: asyncio.TimerHandle | None = None


def _rank(ticket: Ticket) -> Rank:
    return ticket.rank


class FairQueue:
    """One for each vendor and node. `per_minute` bounds all requests, `per_tenant` those of one tenant; 0: no limit.

    `tokens` bounds the model's tokens per minute: each request is admitted at the average cost, and corrected later.
    """

    def __init__(self, vendor: str, per_minute: int, per_tenant: int, timeline: Timeline, *, tokens: int = 0) -> None:
        self.vendor = vendor
        self.wait_histogram = WaitHistogram()
        self._timeline = timeline
        self._rates = Rate(per_minute, BURST_SECONDS), Rate(tokens, BURST_SECONDS)
        self._request_bucket, self._token_bucket = map(TokenBucket, self._rates)
        self._counts_tokens = tokens > 0
        self._average_cost = 0.0
        self._tenant_rate = Rate(per_tenant, TENANT_BURST_SECONDS)
        self._tenant_buckets: dict[str, TokenBucket] = {}  # the most recently served tenant is last
        self._queue: list[Ticket] = []
        self._waiting: list[Ticket] = []
        self._tickets: dict[str, deque[Ticket]] = {}
        self._round = 0.0
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self.on_pause: Callable[[float], None] = lambda _: None
        """Called with the seconds of each pause that a vendor's answer causes here, unless it extends another."""

    def __len__(self) -> int:
        """How many requests wait, deferred ones included."""
        return len(self._queue)

    async def acquire(self) -> None:
        """Return when the request can be made. Busy: the wait is too long for memory; the tenant's ticket is kept."""
        tenant, now = current_tenant(), self._timeline.time()
        own = self._tenant_buckets.get(tenant)
        is_free = self._request_bucket.free_at <= now and self._token_bucket.free_at <= now
        if self._queue or not is_free or (own is not None and own.free_at > now):
            await self._wait(self._take_ticket(tenant))
        else:
            self._take(tenant, self._round + 1, now)

    async def _wait(self, ticket: Ticket) -> None:
        admitted = ticket.admitted = asyncio.get_running_loop().create_future()
        insort(self._waiting, ticket, key=_rank)
        self._serve()
        self._defer_if_long(ticket)
        try:
            await admitted
        except asyncio.CancelledError:
            if ticket in self._waiting:
                self._leave(ticket)
            raise

    def record_cost(self, tokens: int) -> None:
        """Correct the average by the actual cost of an admitted request, in tokens; 0 or less: it is unknown.

        It counts as a minute's tokens at most: a vendor accepts no larger request, and a cost that is told wrongly must
        not make all people wait.
        """
        if not self._counts_tokens or tokens <= 0:
            return
        tokens = min(tokens, int(self._rates[1].per_minute))
        self._token_bucket.take(self._timeline.time(), tokens - self._average_cost)
        self._average_cost += (tokens - self._average_cost) * COST_SMOOTHING

    def share(self, nodes: int) -> None:
        """Take one of `nodes` equal parts of the vendor's quota. A tenant's own limit stays: one node serves them."""
        self._request_bucket.rate, self._token_bucket.rate = (rate.part(nodes) for rate in self._rates)
        self._reconsider()

    def pause(self, seconds: float) -> None:
        """Admit no request for `seconds`, after the vendor reported its rate limit, here or to another node."""
        self._request_bucket.pause(self._timeline.time() + seconds)
        self._reconsider()

    def _reconsider(self) -> None:
        for ticket in list(self._waiting):
            self._defer_if_long(ticket)
        self._serve()

    def rejected(self, seconds: float) -> Busy:
        """Like pause(), for a request that the vendor rejected: its retry precedes later requests."""
        seconds = min(max(seconds, MIN_PAUSE_SECONDS), MAX_PAUSE_SECONDS)
        if self._request_bucket.wait(self._timeline.time()) < seconds - NEWS_SECONDS:
            self.on_pause(seconds)
        self.pause(seconds)
        ticket = self._take_ticket(current_tenant())
        return self._defer(ticket, max(seconds, self._estimate(ticket)))

    # --- tickets -----------------------------------------------------------------------------------------------

    def _take_ticket(self, tenant: str) -> Ticket:
        """The kept ticket of the tenant, or a new one in the tenant's next round."""
        if (kept := self._kept_ticket(tenant)) is not None:
            return kept
        tickets = self._tickets.setdefault(tenant, deque())
        rank = tenant == BACKGROUND or is_yielding(), self._next_round(tenant, tickets), next(self._numbers)
        ticket = Ticket(rank, tenant, self._timeline.time())
        tickets.append(ticket)
        insort(self._queue, ticket, key=_rank)
        return ticket

    def _kept_ticket(self, tenant: str) -> Ticket | None:
        """None also if the kept ticket yields, and the work no longer does."""
        for ticket in tuple(self._tickets.get(tenant, ())):
            if ticket.expiry is None:
                continue
            ticket.expiry.cancel()
            ticket.expiry = None
            if is_yielding() or not ticket.rank[0]:
                return ticket
            self._leave(ticket)
        return None

    def _next_round(self, tenant: str, tickets: deque[Ticket]) -> float:
        if tenant == BACKGROUND:
            return float("inf")
        return max(self._round, tickets[-1].rank[1] if tickets else 0.0) + 1

    def _leave(self, ticket: Ticket) -> None:
        _remove(self._queue, ticket)
        _remove(self._waiting, ticket)
        tickets = self._tickets[ticket.tenant]
        tickets.remove(ticket)
        if not tickets:
            del self._tickets[ticket.tenant]

    # --- serving ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Admit the requests that are due, and set a timer for the next one."""
        now = self._timeline.time()
        while not self._shared_wait(now) and (ticket := self._next_ticket(now)) is not None:
            self._admit(ticket, now)
        self._set_timer(now)

    def _next_ticket(self, now: float) -> Ticket | None:
        return next((ticket for ticket in self._waiting if not self._tenant_wait(ticket.tenant, now)), None)

    def _admit(self, ticket: Ticket, now: float) -> None:
        self._leave(ticket)
        self._take(ticket.tenant, ticket.rank[1], now, waited=now - ticket.since)
        if ticket.admitted is not None and not ticket.admitted.done():
            ticket.admitted.set_result(None)

    def _take(self, tenant: str, of_round: float, now: float, *, waited: float = 0.0) -> None:
        """Count a request that is admitted now."""
        self._request_bucket.take(now)
        if self._counts_tokens:
            self._token_bucket.take(now, self._average_cost)
        if tenant != BACKGROUND:
            self._round = max(self._round, of_round)
            self._bucket_of(tenant, now).take(now)
            self.wait_histogram.note(waited)

    def _set_timer(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            soonest = min(self._tenant_wait(ticket.tenant, now) for ticket in self._waiting)
            self._timer = self._timeline.call_at(now + max(self._shared_wait(now), soonest), self._serve)

    def _bucket_of(self, tenant: str, now: float) -> TokenBucket:
        """The tenant's bucket. The least recently used ones are dropped once they are full."""
        bucket = self._tenant_buckets.pop(tenant, None) or TokenBucket(self._tenant_rate)
        while self._tenant_buckets and self._tenant_buckets[oldest := next(iter(self._tenant_buckets))].is_full(now):
            del self._tenant_buckets[oldest]
        self._tenant_buckets[tenant] = bucket
        return bucket

    # --- waiting ------------------------------------------------------------------------------------------------

    def _defer_if_long(self, ticket: Ticket) -> None:
        admitted = ticket.admitted
        if admitted is not None and not admitted.done() and (wait := self._estimate(ticket)) > MAX_WAIT_SECONDS:
            admitted.set_exception(self._defer(ticket, wait))

    def _defer(self, ticket: Ticket, wait: float) -> Busy:
        """Keep the ticket for the retry of the tenant. Background work keeps none."""
        if ticket.tenant == BACKGROUND:
            self._leave(ticket)
        else:
            _remove(self._waiting, ticket)
            until = self._timeline.time() + wait + TICKET_SECONDS
            ticket.expiry = self._timeline.call_at(until, partial(self._leave, ticket))
        return Busy(f"{self.vendor}_busy", wait)

    def _estimate(self, ticket: Ticket) -> float:
        """Seconds until the ticket is served, if all requests ahead of it are made."""
        now = self._timeline.time()
        each = max(self._request_bucket.rate.interval, self._token_bucket.rate.interval * self._average_cost)
        of_queue = self._shared_wait(now) + _index(self._queue, ticket) * each
        if ticket.tenant == BACKGROUND:
            return of_queue
        own = self._tickets[ticket.tenant].index(ticket) * self._tenant_rate.interval
        return max(of_queue, self._tenant_wait(ticket.tenant, now) + own)

    def _shared_wait(self, now: float) -> float:
        return max(self._request_bucket.wait(now), self._token_bucket.wait(now))

    def _tenant_wait(self, tenant: str, now: float) -> float:
        bucket = self._tenant_buckets.get(tenant)
        return bucket.wait(now) if bucket is not None else 0.0


def _index(queue: list[Ticket], ticket: Ticket) -> int:
    return bisect_left(queue, ticket.rank, key=_rank)


def _remove(queue: list[Ticket], ticket: Ticket) -> None:
    at = _index(queue, ticket)
    if at < len(queue) and queue[at] is ticket:
        del queue[at]
