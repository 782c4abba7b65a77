"""The gate to a vendor: everybody's requests at the rate that we are allowed, people in turns.

A request is served by round: it joins the one after that in service, and each further one of its person's the next. So
a flood stands in later rounds than everybody else, and a round that others wait for is joined by nobody once its turn
has come: a line that never empties starves nobody. What nobody waits for comes after all rounds.
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
from kernel_service.rate_limits.current_tenant import NOBODY, whose
from kernel_service.rate_limits.token_bucket import Bucket, Rate
from kernel_service.rate_limits.wait_histogram import WaitHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE: Final = 2.0
"""Seconds that a request waits in memory. Whoever would wait longer is sent away, and finds their place kept."""
KEPT_SECONDS: Final = 30.0
"""How long a place is kept after the time that its person was told."""
MOST_REST: Final = 300.0
"""The longest that a vendor's word puts anybody off; then one request finds out anew."""
LEAST_REST: Final = 1.0
SAVED_SECONDS: Final = 5.0
SAVED_SECONDS_OF_ONE: Final = 15.0
WEIGHT_OF_ONE: Final = 0.1
"""How much one request says of what requests usually cost."""


class Timeline(Protocol):
    """An event loop's clock and timers."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle: ...


@dataclass(eq=False, slots=True)
class Place:
    """A request's place in the line. Its person is there and waits for `passed`, or was sent away and may `lapse`."""

    rank: tuple[float, int]
    person: str
    since: float
    passed: asyncio.Future[None] | None = None
    lapse: asyncio.TimerHandle | None = None


def _rank(place: Place) -> tuple[float, int]:
    return place.rank


class FairQueue:
    """One for each vendor and process. `per_minute` bounds all requests, `per_person` those of one; 0: no limit.

    `tokens` bounds what all requests together cost in a minute: a request passes for what they usually cost.
    """

    def __init__(self, vendor: str, per_minute: int, per_person: int, timeline: Timeline, *, tokens: int = 0) -> None:
        self.vendor = vendor
        self.waits = WaitHistogram()
        self._timeline = timeline
        self._whole = Bucket(Rate(per_minute, SAVED_SECONDS))
        self._tokens = Bucket(Rate(tokens, SAVED_SECONDS))
        self._usual_cost = 0.0
        self._rate_of_one = Rate(per_person, SAVED_SECONDS_OF_ONE)
        self._own: dict[str, Bucket] = {}  # who asked last is last
        self._line: list[Place] = []
        self._present: list[Place] = []
        self._places: dict[str, deque[Place]] = {}
        self._round = 0.0
        self._numbers = count()
        self._alarm: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many wait, those who were sent away included."""
        return len(self._line)

    async def enter(self) -> None:
        """Return when the request may be made. Busy: it is too long to wait here; the person's place is kept."""
        place = self._take_place(whose())
        passed = place.passed = asyncio.get_running_loop().create_future()
        insort(self._present, place, key=_rank)
        self._serve()
        self._send_away_if_long(place)
        try:
            await passed
        except asyncio.CancelledError:
            if place in self._present:
                self._leave(place)
            raise

    def spent(self, tokens: int) -> None:
        """What a request that passed turned out to cost."""
        self._tokens.take(self._timeline.time(), tokens - self._usual_cost)
        self._usual_cost += (tokens - self._usual_cost) * WEIGHT_OF_ONE

    def rest(self, seconds: float) -> None:
        """The vendor says that we are too fast: nobody asks for so long."""
        self._whole.rest(self._timeline.time() + seconds)
        for place in list(self._present):
            self._send_away_if_long(place)
        self._serve()

    def refused(self, seconds: float) -> Busy:
        """As rest(), for the request that was refused: its person comes again, before those who asked later."""
        seconds = min(max(seconds, LEAST_REST), MOST_REST)
        self.rest(seconds)
        place = self._take_place(whose())
        return self._put_off(place, max(seconds, self._estimate(place)))

    # --- the line -----------------------------------------------------------------------------------------------

    def _take_place(self, person: str) -> Place:
        """The place that is kept for the person, or one at the end of the line."""
        places = self._places.setdefault(person, deque())
        for place in places:
            if place.lapse is not None:
                place.lapse.cancel()
                place.lapse = None
                return place
        place = Place((self._next_round(person, places), next(self._numbers)), person, self._timeline.time())
        places.append(place)
        insort(self._line, place, key=_rank)
        return place

    def _next_round(self, person: str, places: deque[Place]) -> float:
        if person == NOBODY:
            return float("inf")
        return max(self._round, places[-1].rank[0] if places else 0.0) + 1

    def _leave(self, place: Place) -> None:
        _remove(self._line, place)
        _remove(self._present, place)
        places = self._places[place.person]
        places.remove(place)
        if not places:
            del self._places[place.person]

    # --- serving ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Let pass whoever may, and come back when the next one may."""
        now = self._timeline.time()
        while not self._wait(now) and (place := self._next(now)) is not None:
            self._pass(place, now)
        self._set_alarm(now)

    def _next(self, now: float) -> Place | None:
        return next((place for place in self._present if not self._wait_of_one(place.person, now)), None)

    def _pass(self, place: Place, now: float) -> None:
        self._leave(place)
        self._whole.take(now)
        self._tokens.take(now, self._usual_cost)
        if place.person != NOBODY:
            self._round = max(self._round, place.rank[0])
            self._bucket_of(place.person, now).take(now)
            self.waits.note(now - place.since)
        if place.passed is not None and not place.passed.done():
            place.passed.set_result(None)

    def _set_alarm(self, now: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._present:
            soonest = min(self._wait_of_one(place.person, now) for place in self._present)
            self._alarm = self._timeline.call_at(now + max(self._wait(now), soonest), self._serve)

    def _bucket_of(self, person: str, now: float) -> Bucket:
        """The person's bucket; the oldest ones are forgotten when they are full."""
        bucket = self._own.pop(person, None) or Bucket(self._rate_of_one)
        while self._own and self._own[oldest := next(iter(self._own))].is_full(now):
            del self._own[oldest]
        self._own[person] = bucket
        return bucket

    # --- waiting ------------------------------------------------------------------------------------------------

    def _send_away_if_long(self, place: Place) -> None:
        passed = place.passed
        if passed is not None and not passed.done() and (wait := self._estimate(place)) > PATIENCE:
            passed.set_exception(self._put_off(place, wait))

    def _put_off(self, place: Place, wait: float) -> Busy:
        """Keep the person's place for when they come again; what nobody waits for has none."""
        if place.person == NOBODY:
            self._leave(place)
        else:
            _remove(self._present, place)
            until = self._timeline.time() + wait + KEPT_SECONDS
            place.lapse = self._timeline.call_at(until, partial(self._leave, place))
        return Busy(f"{self.vendor}_busy", wait)

    def _estimate(self, place: Place) -> float:
        """Seconds until the place is served, if everybody ahead of it comes."""
        now = self._timeline.time()
        each = max(self._whole.rate.interval, self._tokens.rate.interval * self._usual_cost)
        of_all = self._wait(now) + _index(self._line, place) * each
        if place.person == NOBODY:
            return of_all
        own = self._places[place.person].index(place) * self._rate_of_one.interval
        return max(of_all, self._wait_of_one(place.person, now) + own)

    def _wait(self, now: float) -> float:
        return max(self._whole.wait(now), self._tokens.wait(now))

    def _wait_of_one(self, person: str, now: float) -> float:
        bucket = self._own.get(person)
        return bucket.wait(now) if bucket is not None else 0.0


def _index(line: list[Place], place: Place) -> int:
    return bisect_left(line, place.rank, key=_rank)


def _remove(line: list[Place], place: Place) -> None:
    at = _index(line, place)
    if at < len(line) and line[at] is place:
        del line[at]
