"""The outboxes of several nodes on one store: each stream gets its credit back, and hears of replies, from any node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service.errors import StoreUnavailable
from kernel_service.outbox import outbox as module
from kernel_service.outbox import typing
from kernel_service.outbox.ready_notices import Ready
from kernel_service.ports.lease_tokens import new_token
from kernel_service.ports.notices import NodeNotice, NoticeKind
from kernel_service.ports.outbox import Lease, Outcome, PartAck
from kernel_service.ports.typing import TypingItem
from tests.nodes import nodes
from tests.unit.outbox.test_offered_leases import Offering, settled, stored
from tests.unit.outbox.test_outbox import outbox_of
from tests.unit.outbox.test_typing import turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from kernel_service.ports.media import MediaWanted
    from kernel_service.ports.outbox import Puller, SettledAcks

    Task = asyncio.Task[None]

SLOW_POLL = 3600.0


class Shared(Offering):
    """Its tokens name their node, and it forgets the leases that are settled."""

    async def lease(self, puller: Puller, addresses: Sequence[str], **more: Any) -> list[Lease] | None:
        leases = await super().lease(puller, addresses, **more)
        if leases is None:
            return None
        token = new_token(puller.instance, puller.node)
        return [Lease(each.reply, "p", "chat:1", "", token, each.expires_at, [], 0, "") for each in leases]

    async def typing_item(self, seq: int) -> TypingItem | None:
        return TypingItem("chat:p", "", f"m{seq}")

    async def settle(self, channel: str, acks: Sequence[PartAck], *, now: float) -> SettledAcks:
        self.until |= dict.fromkeys((ack.reply_id for ack in acks), None)
        return await super().settle(channel, acks, now=now)

    async def release_leases(self, channel: str, instance: str, in_hand: Sequence[str]) -> int:
        self.generation += 1
        return await super().release_leases(channel, instance, in_hand)


class Cluster:
    """Nodes with an outbox each. `got`: the replies that the streams of each node have brought."""

    def __init__(self, count: int = 2) -> None:
        self.store = Shared()
        self.nodes = nodes(count)
        self.outboxes = [outbox_of(self.store, node=node) for node in self.nodes]
        self.got: list[list[Any]] = [[] for _ in self.nodes]
        self.tasks: list[asyncio.Task[None]] = []

    async def attach(
        self, place: int, credit: int = 9, addresses: Sequence[str] = (), **more: Any
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(
            self._read(place, self.outboxes[place].pull("chat", addresses, credit, f"gateway-{place}", **more))
        )
        self.tasks.append(task)
        await settled()
        return task

    async def _read(self, place: int, pull: AsyncIterator[Any]) -> None:
        async for lease, _ in pull:
            self.got[place].append(lease)

    def texts(self, place: int) -> list[str]:
        return [lease.reply.id for lease in self.got[place]]

    async def until_got(self, place: int, *reply_ids: str) -> None:
        async with asyncio.timeout(5):
            while self.texts(place) != [*reply_ids]:
                await asyncio.sleep(0)

    async def acknowledge(self, place: int, lease: Lease) -> None:
        """Through this node."""
        ack = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT)
        await self.outboxes[place].settle("chat", [ack])
        await settled()

    def told(self, place: int) -> list[tuple[str, str]]:
        return [(to, notice.detail) for to, notice in self.nodes[place].told]

    async def close(self) -> None:
        for outbox in self.outboxes:
            outbox.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    """Nothing is found by a poll that no notice causes."""
    monkeypatch.setattr(module, "POLL_SECONDS", SLOW_POLL)
    made = Cluster()
    yield made
    await made.close()


async def test_credit_returns_from_an_acknowledgement_at_another_node(cluster: Cluster) -> None:
    cluster.store.waiting = ["rp_0", "rp_1", "rp_2"]
    await cluster.attach(0, credit=1)
    for number in range(3):
        await cluster.until_got(0, *(f"rp_{each}" for each in range(number + 1)))
        await cluster.acknowledge(1, cluster.got[0][-1])


async def test_credit_returns_by_the_next_poll_if_the_notice_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    cluster = Cluster()
    cluster.nodes[0].is_deaf = True
    cluster.store.waiting = ["rp_0", "rp_1"]
    await cluster.attach(0, credit=1)
    await cluster.acknowledge(1, cluster.got[0][0])
    await cluster.until_got(0, "rp_0", "rp_1")
    await cluster.close()


async def test_a_full_stream_keeps_what_is_still_leased(cluster: Cluster) -> None:
    cluster.store.waiting = ["rp_0", "rp_1", "rp_2"]
    await cluster.attach(0, credit=2)
    await cluster.acknowledge(1, cluster.got[0][0])
    assert cluster.texts(0) == ["rp_0", "rp_1", "rp_2"]
    cluster.store.waiting = ["rp_3"]
    cluster.outboxes[0].ready("chat")
    await settled()
    assert cluster.store.waiting == ["rp_3"]


async def test_own_acknowledgements_send_no_notice(cluster: Cluster) -> None:
    cluster.store.waiting = ["rp_0"]
    await cluster.attach(0)
    await cluster.acknowledge(0, cluster.got[0][0])
    assert cluster.told(0) == []


async def test_a_pending_reply_is_announced_to_the_nodes_that_have_the_channel() -> None:
    cluster = Cluster(3)
    await cluster.attach(1)
    cluster.store.waiting = ["rp_0"]
    with cluster.outboxes[0].offered_lease("p_ann", "chat", "desk") as offered:
        offered.stored(stored("rp_0", offered))
    await settled()
    assert cluster.told(0) == [("n_2", Ready.REPLIES)]
    assert cluster.texts(1) == ["rp_0"]
    await cluster.close()


@pytest.mark.parametrize(
    ("addresses", "notifies"), [([], False), (["desk"], False), (["elsewhere"], True)], ids=["all", "this", "another"]
)
async def test_a_stream_here_with_room_spares_the_notice(
    cluster: Cluster, addresses: list[str], notifies: bool
) -> None:
    await cluster.attach(1)
    await cluster.attach(0, addresses=addresses)
    with cluster.outboxes[0].offered_lease("p_ann", "chat", "desk") as offered:
        offered.stored(stored("rp_0", offered, pending=True))
    assert bool(cluster.told(0)) is notifies


async def test_a_node_that_drains_announces_its_last_replies(cluster: Cluster) -> None:
    await cluster.attach(1)
    await cluster.attach(0)
    cluster.outboxes[0].close()  # its stream does not know it yet
    cluster.store.waiting = ["rp_last"]
    cluster.outboxes[0].ready("chat", "desk")
    await settled()
    assert cluster.texts(1) == ["rp_last"]


async def test_replies_beyond_the_credit_here_go_to_another_node(cluster: Cluster) -> None:
    await cluster.attach(1)
    cluster.store.waiting = ["rp_0", "rp_1"]
    await cluster.attach(0, credit=1)
    assert (cluster.texts(0), cluster.texts(1)) == (["rp_0"], ["rp_1"])


async def test_a_release_ends_the_streams_at_other_nodes(cluster: Cluster) -> None:
    gone = await cluster.attach(0)
    await cluster.outboxes[1].release_leases("chat", "gateway-0", [])
    await settled()
    assert gone.done()
    cluster.store.waiting = ["rp_later"]
    await cluster.attach(1)
    assert cluster.texts(1) == ["rp_later"]


async def test_a_stream_that_missed_the_release_ends_at_its_next_check(cluster: Cluster) -> None:
    cluster.nodes[0].is_deaf = True
    gone = await cluster.attach(0)
    await cluster.outboxes[1].release_leases("chat", "gateway-0", [])
    cluster.store.waiting = ["rp_0"]
    assert not gone.done()
    cluster.outboxes[0].ready("chat")
    await settled()
    assert gone.done()
    assert cluster.store.waiting == ["rp_0"]


async def test_a_node_that_others_may_have_removed_leases_nothing(cluster: Cluster) -> None:
    gone = await cluster.attach(0)
    cluster.nodes[0].view.is_fresh = False
    with cluster.outboxes[0].offered_lease("p_ann", "chat", "desk") as offered:
        assert offered.offer is None
        offered.stored(stored("rp_0", offered))
    await settled()
    assert gone.done()
    with pytest.raises(StoreUnavailable):
        await anext(cluster.outboxes[0].pull("chat", [], 9, "gateway-0"))


async def test_a_stream_ends_although_the_store_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a node that is cut from its database: its channel may begin no send under the leases that it has."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    cluster = Cluster()
    gone = await cluster.attach(0)
    cluster.store.gate = asyncio.Event()
    cluster.store.asked.clear()
    await cluster.store.asked.wait()
    cluster.store.waiting = ["rp_0"]
    cluster.nodes[0].view.is_fresh = False
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            await gone
    cluster.store.gate.set()
    await cluster.close()


async def test_unseen_leases_of_such_a_stream_are_released_once_the_store_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    cluster = Cluster()
    cluster.store.waiting = ["rp_0"]
    cluster.store.gate = asyncio.Event()
    gone = await cluster.attach(0)
    cluster.nodes[0].view.is_fresh = False
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            await gone
    cluster.store.gate.set()
    await settled()
    assert [reply_id for reply_id, _ in cluster.store.back] == ["rp_0"]
    await cluster.close()


async def test_a_lease_of_a_node_that_was_removed_meanwhile_is_released(cluster: Cluster) -> None:
    await cluster.attach(0)
    with cluster.outboxes[0].offered_lease("p_ann", "chat", "desk") as offered:
        offered.stored(stored("rp_0", offered))
        cluster.nodes[0].view.is_fresh = False
    await settled()
    assert (cluster.texts(0), len(cluster.store.back)) == ([], 1)


async def test_after_lost_notices_a_node_checks_everything(cluster: Cluster) -> None:
    await cluster.attach(0)
    cluster.store.waiting = ["rp_0"]
    for look in cluster.nodes[0].missed:
        look()
    await settled()
    assert cluster.texts(0) == ["rp_0"]


async def test_streams_at_other_nodes_count_as_connected_consumers(cluster: Cluster) -> None:
    await cluster.attach(1)
    await cluster.outboxes[0].sweep()
    assert cluster.store.connected == [(["chat"], 0)]


async def test_a_reply_that_the_leader_makes_pending_is_announced(cluster: Cluster) -> None:
    await cluster.attach(1)
    cluster.store.waiting = ["rp_in_doubt_no_more"]
    await cluster.outboxes[0].sweep()
    await settled()
    assert cluster.texts(1) == ["rp_in_doubt_no_more"]


async def test_many_notices_cause_few_polls(cluster: Cluster) -> None:
    await cluster.attach(0)
    polls = cluster.store.polls
    for _ in range(100):
        cluster.nodes[0].receive(NodeNotice(NoticeKind.READY, "chat", detail=Ready.REPLIES))
        await asyncio.sleep(0)
    cluster.store.waiting = ["rp_0"]
    cluster.nodes[0].receive(NodeNotice(NoticeKind.READY, "chat", detail=Ready.REPLIES))
    await cluster.until_got(0, "rp_0")
    assert cluster.store.polls <= polls + 3


@pytest.mark.parametrize(
    "notice", [NodeNotice(NoticeKind.READY, "chat", detail="of a newer release"), NodeNotice(NoticeKind.READY)]
)
async def test_unknown_notices_are_ignored(cluster: Cluster, notice: NodeNotice) -> None:
    await cluster.attach(0)
    cluster.nodes[0].receive(notice)


class Transfers:
    """One file is wanted after `wanted`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def wanted(self, channel: str) -> None:
        self.asked.append(channel)

    async def lease(self, puller: Puller, addresses: Sequence[str], limit: int) -> list[MediaWanted]:
        return []


async def test_a_wanted_file_is_announced_to_a_node_whose_stream_takes_files(cluster: Cluster) -> None:
    transfers = Transfers()
    await cluster.attach(0)  # it takes replies only
    await cluster.attach(1, transfers=transfers)
    transfers.asked.clear()
    cluster.outboxes[0].wanted("chat")
    assert transfers.asked == ["chat"]
    assert cluster.told(0) == [("n_2", Ready.FILES)]


async def test_typing_is_shown_by_a_stream_at_another_node(cluster: Cluster) -> None:
    await cluster.attach(1, typing_interval=5.0)
    cluster.outboxes[0].typing.begin(turn())
    async with asyncio.timeout(5):
        while not cluster.got[1]:
            await asyncio.sleep(0)
    assert cluster.got[1] == [TypingItem("chat:p", "", "m1")]
    cluster.outboxes[0].typing.end(turn())


async def test_typing_is_announced_only_where_no_stream_is_here(cluster: Cluster) -> None:
    await cluster.attach(0)  # it wants none
    await cluster.attach(1, typing_interval=5.0)
    cluster.outboxes[0].typing.begin(turn())
    await settled()
    assert cluster.told(0) == []


async def test_typing_is_announced_where_the_streams_here_serve_other_addresses(cluster: Cluster) -> None:
    await cluster.attach(0, addresses=["second"], typing_interval=5.0)
    await cluster.attach(1, typing_interval=5.0)
    cluster.outboxes[0].typing.begin(turn(address="first"))
    async with asyncio.timeout(5):
        while not cluster.got[1]:
            await asyncio.sleep(0)
    cluster.outboxes[0].typing.end(turn(address="first"))


async def test_typing_is_shown_by_a_stream_that_opens_at_another_node_meanwhile(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing, "ELSEWHERE_SECONDS", 0.01)
    cluster.outboxes[0].typing.begin(turn())
    await settled()
    await cluster.attach(1, typing_interval=5.0)
    async with asyncio.timeout(5):
        while not cluster.got[1]:
            await asyncio.sleep(0)
    cluster.outboxes[0].typing.end(turn())
