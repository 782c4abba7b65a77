"""A vendor's quota among nodes: equal parts, and one rest for all."""

from __future__ import annotations

import asyncio

import pytest

from kernel_service.cluster.shared_quota import share_quota
from kernel_service.errors import Busy
from kernel_service.ports.nodes import Node
from kernel_service.rate_limits.current_tenant import as_tenant
from kernel_service.rate_limits.fair_queue import MAX_PAUSE_SECONDS, FairQueue
from tests.node_view import View, node
from tests.notice_air import NoticeAir
from tests.unit.rate_limits.timeline import Timeline, settle

NAMES = ("n1", "n2", "n3")


class Nodes:
    """Nodes of the same view, with a queue for each of two vendors."""

    def __init__(self, *, per_minute: int = 60, per_tenant: int = 0, tokens: int = 0) -> None:
        self.timeline = Timeline()
        self.air = NoticeAir()
        self.clusters = [View.of(*map(node, NAMES)) for _ in NAMES]
        self.queues = [FairQueue("model", per_minute, per_tenant, self.timeline, tokens=tokens) for _ in NAMES]
        self.tools = [FairQueue("tools", per_minute, 0, self.timeline) for _ in NAMES]
        for name, cluster, *queues in zip(NAMES, self.clusters, self.queues, self.tools, strict=True):
            share_quota(queues, cluster, self.air.board(name))
        self.served: list[float] = []
        self.sent_away: list[float] = []

    def see(self, *names: str) -> None:
        for cluster in self.clusters:
            cluster.change(*map(node, names))

    async def ask(self, queue: FairQueue, tenant: str = "ann") -> None:
        with as_tenant(tenant):
            try:
                await queue.acquire()
            except Busy as busy:
                self.sent_away.append(busy.retry_after)
            else:
                self.served.append(self.timeline.now)

    def ask_often(self, queue: FairQueue, times: int, tenant: str = "ann") -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.ask(queue, tenant)) for _ in range(times)]

    async def flood(self, *queues: FairQueue, seconds: int = 240) -> None:
        """Each of many people asks each node all the time."""
        asking = []
        for second in range(seconds * 2):
            asking += [asyncio.create_task(self.ask(queue, f"p_{second % 50}")) for queue in queues]
            await self.timeline.pass_time(0.5)
        for one in asking:
            one.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def most_in_a_minute(self) -> int:
        return max(sum(start <= at < start + 60 for at in self.served) for start in self.served)


async def test_all_nodes_together_keep_within_the_quota() -> None:
    nodes = Nodes(per_minute=60)
    await nodes.flood(*nodes.queues)
    assert 50 <= nodes.most_in_a_minute() <= 60 + len(NAMES)


async def test_a_node_that_is_left_alone_takes_the_whole_quota_at_once() -> None:
    nodes = Nodes(per_minute=60)
    await nodes.flood(nodes.queues[0])
    assert nodes.most_in_a_minute() <= 21
    nodes.see("n1")
    nodes.served.clear()
    await nodes.flood(nodes.queues[0])
    assert 55 <= nodes.most_in_a_minute() <= 61


async def test_a_node_that_joins_takes_its_part_from_the_others_at_once() -> None:
    nodes = Nodes(per_minute=60)
    nodes.see("n1")
    await nodes.flood(nodes.queues[0], seconds=60)
    nodes.see(*NAMES)
    nodes.served.clear()
    await nodes.flood(nodes.queues[0], seconds=120)
    assert nodes.most_in_a_minute() <= 22


async def test_a_node_that_starts_takes_no_part_from_those_that_serve() -> None:
    nodes = Nodes(per_minute=60)
    for cluster in nodes.clusters:
        cluster.change(node("n1"), Node("n2", "", 0))
    await nodes.flood(nodes.queues[0])
    assert 55 <= nodes.most_in_a_minute() <= 61


async def test_those_whose_wait_gets_long_by_a_join_are_deferred() -> None:
    nodes = Nodes(per_minute=60)
    nodes.see("n1")
    asking = nodes.ask_often(nodes.queues[0], 7)
    await settle()
    assert (len(nodes.served), nodes.sent_away) == (5, [])
    nodes.see(*NAMES)
    await settle()
    assert nodes.sent_away == [pytest.approx(0.4 + 3.25, abs=0.1)]
    await nodes.timeline.pass_time(1)
    await asyncio.gather(*asking)
    assert len(nodes.served) == 6


async def test_tokens_are_shared_too() -> None:
    nodes = Nodes(per_minute=0, tokens=60_000)
    queue = nodes.queues[0]
    for _ in range(50):
        queue.record_cost(1_000)
    await nodes.timeline.pass_time(600)
    asking = []
    for second in range(240):
        before = len(nodes.served)
        asking += nodes.ask_often(queue, 1, f"p_{second % 50}")
        await nodes.timeline.pass_time(1)
        for _ in nodes.served[before:]:
            queue.record_cost(1_000)
    for one in asking:
        one.cancel()
    assert 15 <= nodes.most_in_a_minute() <= 22


async def test_a_persons_own_limit_is_not_divided() -> None:
    nodes = Nodes(per_minute=0, per_tenant=60)
    asking = nodes.ask_often(nodes.queues[0], 10, "cleo")
    await settle()
    assert len(nodes.served) == 10, "a burst of a quarter of a minute"
    await asyncio.gather(*asking)


async def test_without_a_limit_there_is_none_to_divide() -> None:
    nodes = Nodes(per_minute=0)
    for _ in range(1000):
        await nodes.ask(nodes.queues[0])
    assert len(nodes.served) == 1000


# --- the vendor's word ------------------------------------------------------------------------------------------


async def test_all_nodes_pause_when_the_vendor_requests_it_of_one() -> None:
    nodes = Nodes(per_minute=6000)
    with as_tenant("ann"):
        nodes.queues[0].rejected(20.0)
    for queue in nodes.queues[1:]:
        await nodes.ask(queue)
    assert nodes.sent_away == [pytest.approx(20, abs=0.1)] * 2
    await nodes.timeline.pass_time(21)
    await nodes.ask(nodes.queues[2], "bob")
    assert len(nodes.served) == 1


async def test_a_rest_holds_for_its_vendor_alone() -> None:
    nodes = Nodes(per_minute=6000)
    with as_tenant("ann"):
        nodes.queues[0].rejected(20.0)
    await nodes.ask(nodes.tools[1])
    assert len(nodes.served) == 1


async def test_a_pause_is_announced_once_and_never_forwarded() -> None:
    nodes = Nodes(per_minute=6000)
    for _ in range(100):
        with as_tenant("ann"):
            nodes.queues[0].rejected(20.0)
    assert nodes.air.sent == 1
    with as_tenant("ann"):
        nodes.queues[1].rejected(20.0)
    assert nodes.air.sent == 1, "this node rests already"
    with as_tenant("ann"):
        nodes.queues[1].rejected(60.0)
    assert nodes.air.sent == 2, "a longer rest is told"


async def test_an_absurd_rest_ends() -> None:
    nodes = Nodes(per_minute=6000)
    with as_tenant("ann"):
        nodes.queues[0].rejected(10**9)
    await nodes.timeline.pass_time(MAX_PAUSE_SECONDS + 1)
    await nodes.ask(nodes.queues[1], "bob")
    assert len(nodes.served) == 1


async def test_a_lost_notice_costs_one_more_refusal() -> None:
    nodes = Nodes(per_minute=6000)
    nodes.air.is_lossy = True
    with as_tenant("ann"):
        nodes.queues[0].rejected(20.0)
    await nodes.ask(nodes.queues[1])
    assert len(nodes.served) == 1


async def test_those_who_wait_here_are_deferred_by_a_rest_elsewhere() -> None:
    nodes = Nodes(per_minute=120)
    asking = nodes.ask_often(nodes.queues[1], 5)
    await settle()
    assert not all(one.done() for one in asking)
    with as_tenant("bob"):
        nodes.queues[0].rejected(30.0)
    await settle()
    assert all(one.done() for one in asking)
    assert nodes.sent_away
