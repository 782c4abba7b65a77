from __future__ import annotations

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from kernel_service.errors import Busy
from kernel_service.rate_limits.current_tenant import BACKGROUND, as_tenant, yielding
from kernel_service.rate_limits.fair_queue import MAX_PAUSE_SECONDS, TICKET_SECONDS, FairQueue
from tests.unit.rate_limits.timeline import Timeline, settle

if TYPE_CHECKING:
    from collections.abc import Iterable


class Crowd:
    """People who make requests. `served` lists admitted people and times, `sent_away` the deferred ones and waits."""

    def __init__(self, per_minute: int = 0, per_tenant: int = 0, tokens: int = 0) -> None:
        self.timeline = Timeline()
        self.queue = FairQueue("model", per_minute, per_tenant, self.timeline, tokens=tokens)
        self.served: list[tuple[float, str]] = []
        self.sent_away: dict[str, float] = {}
        self.asking: list[asyncio.Task[None]] = []

    def asks(self, *people: str) -> None:
        for tenant in people:
            with as_tenant(tenant):
                self.asking.append(asyncio.create_task(self._ask(tenant)))

    async def _ask(self, tenant: str) -> None:
        try:
            await self.queue.acquire()
        except Busy as busy:
            self.sent_away[tenant] = busy.retry_after
        else:
            self.served.append((self.timeline.now, tenant))

    async def asks_until_served(self, tenant: str) -> None:
        """Like a held turn: it retries at its retry time."""
        with as_tenant(tenant):
            while True:
                try:
                    await self.queue.acquire()
                except Busy as busy:
                    back = asyncio.get_running_loop().create_future()
                    self.timeline.call_at(self.timeline.now + busy.retry_after, lambda: back.set_result(None))  # noqa: B023
                    await back
                else:
                    return self.served.append((self.timeline.now, tenant))

    @property
    def order(self) -> list[str]:
        return [tenant for _, tenant in self.served]

    def most_in_a_minute(self) -> int:
        times = [at for at, _ in self.served]
        return max(sum(start <= at < start + 60 for at in times) for start in times)


async def drained(crowd: Crowd) -> None:
    """Another tenant uses up the burst."""
    while not crowd.queue._shared_wait(crowd.timeline.now):
        crowd.asks("p_earlier")
        await settle()
    crowd.served.clear()


async def until_done(crowd: Crowd, tasks: Iterable[asyncio.Task[None]]) -> None:
    while not all(task.done() for task in tasks):
        await crowd.timeline.pass_time(1)


async def test_without_a_limit_no_request_waits() -> None:
    crowd = Crowd()
    crowd.asks(*(["p_1"] * 1000))
    await settle()
    assert len(crowd.served) == 1000
    assert len(crowd.queue) == 0


@pytest.mark.slow
@pytest.mark.parametrize("per_minute", [1, 7, 60, 2000])
async def test_rate_is_used_and_no_minute_exceeds_it(per_minute: int) -> None:
    crowd = Crowd(per_minute)
    people = [asyncio.create_task(crowd.asks_until_served(f"p_{n}")) for n in range(3 * per_minute)]
    await until_done(crowd, people)
    assert crowd.most_in_a_minute() <= per_minute
    assert len(crowd.served) == 3 * per_minute
    assert crowd.served[-1][0] - crowd.served[0][0] <= 3.3 * 60


async def test_people_are_served_round_robin_and_each_in_order() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    crowd.asks("p_flood", "p_flood", "p_flood", "p_flood", "p_1", "p_2", "p_1")
    await crowd.timeline.pass_time(2)
    assert crowd.order == ["p_flood", "p_1", "p_2", "p_flood", "p_1", "p_flood", "p_flood"]


async def test_a_tenant_that_keeps_asking_waits_behind_the_others() -> None:
    crowd = Crowd(600)
    await drained(crowd)

    async def floods() -> None:
        for _ in range(20):
            await crowd.asks_until_served("p_flood")

    flood = asyncio.create_task(floods())
    await settle()
    crowd.asks("p_1", "p_2", "p_3")
    await crowd.timeline.pass_time(0.7)
    assert crowd.order[:5] == ["p_flood", "p_1", "p_2", "p_3", "p_flood"]
    await until_done(crowd, [flood])


@pytest.mark.parametrize("people", [3, 1000], ids=["who come again", "who are new each time"])
async def test_queue_that_never_empties_starves_no_tenant(people: int) -> None:
    """A tenant's second request waits for at most one more round, however many others arrive meanwhile."""
    crowd = Crowd(600)
    await drained(crowd)
    coming = cycle(range(people))

    async def one_after_the_other() -> None:
        while True:
            await crowd.asks_until_served(f"p_{next(coming)}")

    others = [asyncio.create_task(one_after_the_other()) for _ in range(3)]
    await settle()
    crowd.asks("p_two", "p_two", "p_two")
    await crowd.timeline.pass_time(60)
    assert [at for at, tenant in enumerate(crowd.order) if tenant == "p_two"] == [3, 4, 8]
    assert len(crowd.order) > 500
    for other in others:
        other.cancel()


async def test_kept_ticket_moves_only_one_request_ahead() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    crowd.asks("p_away")
    crowd.queue.pause(20)
    await crowd.timeline.pass_time(20)
    crowd.asks("p_1", "p_2", "p_3")
    await crowd.timeline.pass_time(0.3)
    assert crowd.order == ["p_1", "p_2", "p_3"]
    crowd.asks("p_1", "p_2", "p_away", "p_away")
    await crowd.timeline.pass_time(1)
    assert crowd.order[3:] == ["p_away", "p_1", "p_2", "p_away"]


async def test_background_work_comes_last() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    crowd.asks(BACKGROUND, "p_1", BACKGROUND, "p_2")
    await settle()
    crowd.asks("p_3")
    await crowd.timeline.pass_time(2)
    assert crowd.order == ["p_1", "p_2", "p_3", BACKGROUND, BACKGROUND]


async def test_a_long_wait_is_deferred_and_keeps_its_ticket() -> None:
    crowd = Crowd(60)
    await drained(crowd)
    crowd.asks(*(f"p_{n}" for n in range(10)))
    await settle()
    assert sorted(crowd.sent_away) == [f"p_{n}" for n in range(2, 10)]
    assert crowd.sent_away["p_9"] == pytest.approx(10, abs=0.5)
    people = [asyncio.create_task(crowd.asks_until_served(f"p_{n}")) for n in range(2, 10)]
    await crowd.timeline.pass_time(1)
    people.append(asyncio.create_task(crowd.asks_until_served("p_late")))
    await until_done(crowd, people)
    assert crowd.order == [*(f"p_{n}" for n in range(10)), "p_late"]


async def test_a_kept_ticket_expires() -> None:
    crowd = Crowd(60)
    await drained(crowd)
    crowd.asks(*(f"p_{n}" for n in range(10)))
    await settle()
    assert len(crowd.queue) == 10
    await crowd.timeline.pass_time(TICKET_SECONDS + 12)
    assert len(crowd.queue) == 0


async def test_background_work_keeps_no_ticket() -> None:
    crowd = Crowd(60)
    await drained(crowd)
    crowd.asks(*([BACKGROUND] * 10))
    await settle()
    assert len(crowd.queue) <= 2
    assert BACKGROUND in crowd.sent_away


async def test_one_tenant_does_not_use_up_the_shared_rate() -> None:
    crowd = Crowd(600, per_tenant=60)
    crowd.asks(*(["p_flood"] * 40), "p_1")
    await settle()
    assert crowd.order.count("p_flood") < 15
    assert crowd.order[-1] == "p_1"
    assert crowd.sent_away["p_flood"] > 2


async def test_a_pause_that_the_vendor_asks_for_holds_for_all_tenants() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    crowd.asks("p_1", "p_2")
    await settle()
    crowd.queue.pause(20)
    await settle()
    assert crowd.sent_away == {"p_1": pytest.approx(20), "p_2": pytest.approx(20.1, abs=0.02)}
    crowd.asks("p_3")
    await crowd.timeline.pass_time(19.9)
    assert crowd.served == []
    crowd.asks("p_3", "p_2", "p_1")
    await crowd.timeline.pass_time(1)
    assert crowd.order == ["p_1", "p_2", "p_3"]


async def test_a_rejected_request_comes_before_later_ones() -> None:
    crowd = Crowd()
    with as_tenant("p_1"):
        busy = crowd.queue.rejected(20)
    assert busy.retry_after == 20
    crowd.asks("p_2")
    await settle()
    await crowd.timeline.pass_time(20)
    crowd.asks("p_2", "p_1")
    await settle()
    assert sorted(crowd.order) == ["p_1", "p_2"]


async def test_a_pause_is_bounded() -> None:
    crowd = Crowd()
    with as_tenant("p_refused"):
        assert crowd.queue.rejected(86_400).retry_after == MAX_PAUSE_SECONDS
    await crowd.timeline.pass_time(MAX_PAUSE_SECONDS)
    crowd.asks("p_refused", "p_1")
    await settle()
    assert crowd.order == ["p_refused", "p_1"]
    assert len(crowd.queue) == 0


async def test_a_cancelled_request_frees_its_ticket() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    crowd.asks("p_1", "p_2")
    await settle()
    crowd.asking[-2].cancel()
    await crowd.timeline.pass_time(1)
    assert crowd.order == ["p_2"]
    assert len(crowd.queue) == 0


async def test_buckets_of_idle_tenants_are_dropped() -> None:
    crowd = Crowd(0, per_tenant=60)
    crowd.asks(*(f"p_{n}" for n in range(100)))
    await settle()
    assert len(crowd.queue._tenant_buckets) == 100
    await crowd.timeline.pass_time(60)
    crowd.asks("p_new")
    await settle()
    assert list(crowd.queue._tenant_buckets) == ["p_new"]


async def test_waits_are_counted() -> None:
    crowd = Crowd(60)
    await drained(crowd)
    before, began = crowd.queue.wait_histogram.seconds, crowd.timeline.now
    people = [asyncio.create_task(crowd.asks_until_served(f"p_{n}")) for n in range(5)]
    await until_done(crowd, people)
    assert crowd.queue.wait_histogram.seconds - before == pytest.approx(sum(at - began for at, _ in crowd.served))
    within = dict(crowd.queue.wait_histogram.cumulative())
    assert within["+Inf"] - within["2.0"] == sum(at - began > 2 for at, _ in crowd.served) == 3


async def test_the_cost_of_requests_bounds_them_too() -> None:
    crowd = Crowd(tokens=60_000)
    record_cost: list[float] = []

    async def asks_and_spends(tenant: str) -> None:
        await crowd.asks_until_served(tenant)
        crowd.queue.record_cost(1_000)
        record_cost.append(crowd.timeline.now)

    people = [asyncio.create_task(asks_and_spends(f"p_{n}")) for n in range(180)]
    await until_done(crowd, people)
    steady = [at for at in record_cost if at > record_cost[0] + 10]  # the cost of requests was unknown before
    assert max(sum(start <= at < start + 60 for at in steady) for start in steady) <= 62
    assert len(record_cost) == 180
    assert record_cost[-1] - record_cost[0] < 3.3 * 60


async def test_a_cost_that_is_told_wrongly_delays_others_a_little() -> None:
    crowd = Crowd(tokens=60_000)
    began = crowd.timeline.now
    for told in (10**12, 0, -(10**12)):
        crowd.queue.record_cost(told)
    people = [asyncio.create_task(crowd.asks_until_served(f"p_{n}")) for n in range(2)]
    await until_done(crowd, people)
    assert crowd.timeline.now - began < 180


async def test_the_estimated_wait_includes_the_cost() -> None:
    crowd = Crowd(tokens=60_000)
    for _ in range(100):
        crowd.queue.record_cost(1_000)
    await crowd.timeline.pass_time(200)
    await drained(crowd)
    crowd.asks(*(f"p_{n}" for n in range(21)))
    await settle()
    assert crowd.sent_away["p_20"] == pytest.approx(21, abs=2)


async def test_background_work_has_no_tenant_limit() -> None:
    crowd = Crowd(6000, per_tenant=6)
    crowd.asks(*([BACKGROUND] * 100))
    await settle()
    assert crowd.order == [BACKGROUND] * 100


async def test_a_request_for_which_there_is_room_waits_for_nothing() -> None:
    """No timer, and no future: the coroutine ends at its first step."""
    crowd = Crowd(per_minute=600, per_tenant=60, tokens=10_000)
    with as_tenant("ann"), pytest.raises(StopIteration):
        crowd.queue.acquire().send(None)
    assert (len(crowd.queue), crowd.timeline.timers) == (0, 0)


async def test_a_request_for_which_there_is_room_still_counts() -> None:
    crowd = Crowd(per_tenant=8)  # ten seconds apart, after two
    for _ in range(3):
        crowd.asks("ann")
        await settle()
    assert (crowd.order, list(crowd.sent_away)) == (["ann", "ann"], ["ann"])


async def test_work_that_yields_comes_after_the_requests_of_others() -> None:
    crowd = Crowd(600)
    await drained(crowd)
    with yielding(yields=True):
        crowd.asks("p_scheduled")
    crowd.asks("p_1", "p_1", "p_2")
    await crowd.timeline.pass_time(0.15)
    crowd.asks("p_3")
    await crowd.timeline.pass_time(2)
    assert crowd.order[-1] == "p_scheduled"
    assert len(crowd.order) == 5


async def test_a_request_that_yields_no_longer_loses_its_late_place() -> None:
    """The person has written meanwhile, and waits for the turn."""
    crowd = Crowd(600)
    crowd.queue.pause(10)
    with yielding(yields=True):
        crowd.asks("p_scheduled", "p_other")
    await settle()
    assert set(crowd.sent_away) == {"p_scheduled", "p_other"}
    await crowd.timeline.pass_time(9)
    with yielding(yields=True):
        crowd.asks("p_other")
    crowd.asks("p_scheduled")
    await crowd.timeline.pass_time(2)
    assert crowd.order == ["p_scheduled", "p_other"]
    assert len(crowd.queue) == 0, "the late place is free"
