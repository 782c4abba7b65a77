"""The outboxes of two nodes on one PostgreSQL: whichever node is told of a reply, it is leased once and in order."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from kernel_service.cluster.membership import Membership
from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.outbox.outbox import Outbox
from kernel_service.ports.messages import Reply, ReplyMode, Usage
from kernel_service.ports.nodes import Node
from kernel_service.ports.outbox import AckResult, Outcome, PartAck, PartReceipt
from kernel_service.ports.states.part import PartState
from kernel_service.ports.turns import TurnStatus
from kernel_service.storage.opening.open_store import open_store
from tests.contract.store.conftest import keys
from tests.contract.store.outbox import ADDRESS, CHANNEL, Chat
from tests.contract.store.owner import own, say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from kernel_service.ports.notices import NoticeTransport
    from kernel_service.ports.outbox import Lease
    from kernel_service.storage.store import Store

SCHEMA = 1000
PROMPT_SECONDS = 0.5
"""Half of the interval of polls. A notice takes about ten milliseconds, and longer on a busy machine."""


class NodeOfTwo:
    """`transport` carries its notices; None: they are lost."""

    def __init__(self, name: str, store: Store, transport: NoticeTransport | None) -> None:
        self.store = store
        self.membership = Membership(store.nodes, Node(name, "here:1", SCHEMA), alone=False, end_process=pytest.fail)
        board = NoticeBoard(transport)
        self.outbox = Outbox(store.outbox, self.membership, board, time.time)
        self.membership.channels = self.outbox.channels
        board.begin(name)

    def pull(self, credit: int = 64, instance: str = "gateway-1") -> AsyncGenerator[tuple[Lease, float]]:
        stream: AsyncGenerator[tuple[Lease, float]] = self.outbox.pull(CHANNEL, [], credit, instance)  # type: ignore[assignment]
        return stream

    async def acknowledge(self, lease: Lease) -> None:
        ack = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, lease.reply.id)
        assert await self.outbox.settle(CHANNEL, [ack]) == [AckResult.RECORDED]

    async def receive(self, lease: Lease) -> None:
        receipt = PartReceipt(lease.reply.id, 1, 1, lease.reply.id, PartState.DELIVERED, "")
        assert await self.outbox.receive(CHANNEL, [receipt]) == 1


@pytest.fixture(params=["notices", "polls"])
async def nodes(request: pytest.FixtureRequest, postgres_url: str) -> AsyncIterator[list[NodeOfTwo]]:
    stores = [await open_store(postgres_url, keys("test"), pool=4) for _ in range(2)]
    made = [
        NodeOfTwo(f"n_{place}", store, store.engine.notices if request.param == "notices" else None)
        for place, store in enumerate(stores)
    ]
    for node in (*made, *made):
        await (node.membership.join() if not node.membership._beat_at else node.membership.beat())
    yield made
    for store in stores:
        await store.close()


async def see_streams(nodes: list[NodeOfTwo]) -> None:
    for node in (*nodes, *nodes):
        await node.membership.beat()


async def test_replies_continue_in_order_if_all_reports_come_through_another_node(nodes: list[NodeOfTwo]) -> None:
    here, there = nodes
    anna = await Chat(here.store, "test:anna").write()
    told = [await anna.tell(str(number)) for number in range(3)]
    async with aclosing(here.pull(credit=1)) as stream:
        for reply_id in told:
            async with asyncio.timeout(5):
                lease, _ = await anext(stream)
            assert lease.reply.id == reply_id
            assert await there.outbox.extend(CHANNEL, [(reply_id, lease.token)]) == [True]
            await there.acknowledge(lease)
            await there.receive(lease)
    assert [view.state for view in (await here.store.admin.replies(anna.person_id, limit=9, before=""))[0]] == [
        "sent"
    ] * 3


async def test_a_person_of_one_node_is_answered_by_a_stream_at_the_other(
    nodes: list[NodeOfTwo], request: pytest.FixtureRequest
) -> None:
    here, there = nodes
    async with aclosing(here.pull()) as stream:
        reading = asyncio.ensure_future(anext(stream))
        while not here.outbox.channels():
            await asyncio.sleep(0)
        await see_streams(nodes)
        person = await say(there.store, "m1", "test:ann", reply_mode=ReplyMode.OUTBOX, address=ADDRESS)
        owner = await own(there.store, person)
        turn = await owner.open()
        with there.outbox.offered_lease(person, CHANNEL, ADDRESS) as offered:
            ended = await there.store.turns.end(
                turn, owner.epoch, [], [Reply("done")],
                status=TurnStatus.COMPLETED, usage=Usage(), offer=offered.offer, now=time.time(),
            )  # fmt: skip
            offered.stored(ended.stored)
        committed = time.monotonic()
        async with asyncio.timeout(5):
            lease, _ = await reading
        took = time.monotonic() - committed
        assert lease.reply.id == ended.stored.replies[0].id
        if "notices" in request.node.name:
            assert took < PROMPT_SECONDS
        await here.acknowledge(lease)


async def test_streams_at_two_nodes_share_replies_without_a_double_lease(nodes: list[NodeOfTwo]) -> None:
    people = [await Chat(nodes[0].store, f"test:user{number}").write() for number in range(20)]
    told = [await person.tell(str(number)) for number in range(2) for person in people]
    got: list[Lease] = []
    got_all = asyncio.Event()

    async def serve(node: NodeOfTwo, other: NodeOfTwo, instance: str) -> None:
        async with aclosing(node.pull(4, instance)) as stream:
            async for lease, _ in stream:
                got.append(lease)
                await (node, other)[len(got) % 2].acknowledge(lease)
                if len(got) >= len(told):
                    got_all.set()

    serving = [asyncio.create_task(serve(nodes[place], nodes[1 - place], f"gateway-{place}")) for place in range(2)]
    async with asyncio.timeout(20):
        await got_all.wait()
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    assert sorted(lease.reply.id for lease in got) == sorted(told)
    for person in people:
        assert [lease.reply.reply.text for lease in got if lease.person_id == person.person_id] == ["0", "1"]


async def test_a_release_through_another_node_ends_the_stream(nodes: list[NodeOfTwo]) -> None:
    here, there = nodes
    anna = await Chat(here.store, "test:anna").write()
    reply_id = await anna.tell("hello")
    async with aclosing(here.pull()) as stream:
        lease, _ = await anext(stream)
        assert await there.outbox.release_leases(CHANNEL, "gateway-1", []) == 1
        async with asyncio.timeout(5):
            assert await anext(stream, None) is None
    async with aclosing(there.pull()) as stream:
        again, _ = await anext(stream)
    assert (again.reply.id, again.token == lease.token) == (reply_id, False)


async def test_leases_of_a_removed_node_are_sent_again_only_after_their_doubt(nodes: list[NodeOfTwo]) -> None:
    here, there = nodes
    anna = await Chat(here.store, "test:anna").write()
    reply_id = await anna.tell("hello")
    stream = here.pull()
    lease, _ = await anext(stream)
    await here.store.nodes.leave("n_0")  # as another node removes it
    await there.membership.beat()
    await there.outbox.sweep()
    [until] = await there.store.outbox.leased_until([(reply_id, lease.token)])
    assert until is not None
    assert 15 < until - time.time() <= 20.5
    await there.acknowledge(lease)
    await stream.aclose()
