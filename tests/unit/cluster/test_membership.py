"""A node's own membership: its beats, its silence, its end, and the database's time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kernel_service.cluster import membership
from kernel_service.cluster.membership import Membership
from kernel_service.errors import StoreUnavailable
from kernel_service.ports.nodes import GAP_SECONDS, LAPSE_SECONDS, Beat, Node
from tests.node_view import ME

OTHER = "k_other"


class Steady:
    """The node's monotonic clock."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Fills `NodeStore`. `away`: the database does not answer. `takes`: how long an answer takes, in seconds."""

    def __init__(self, steady: Steady) -> None:
        self._steady = steady
        self.nodes: tuple[Node, ...] = (Node(ME, "me:1", 27), Node(OTHER, "other:1", 27))
        self.removed = False
        self.dead: tuple[str, ...] = ()
        self.away = False
        self.is_silent = False
        self.takes = 0.0
        self.now = 5000.0
        self.drained: list[str] = []
        self.beaten = asyncio.Event()

    async def join(self, node: Node, *, alone: bool) -> Beat:
        return Beat(self.now, self.nodes[:1] if alone else self.nodes)

    async def beat(self, *_: object) -> Beat | None:
        self.beaten.set()
        await asyncio.sleep(0)
        self._steady.now += self.takes
        if self.away:
            raise StoreUnavailable
        return None if self.removed else Beat(self.now, self.nodes, self.dead)

    async def announce(self, *_: object) -> None: ...

    async def drain(self, node_id: str) -> None:
        self.drained.append(node_id)
        await self.leave()
        if self.away:
            raise StoreUnavailable

    async def leave(self, *_: object) -> None:
        if self.is_silent:
            await asyncio.Event().wait()


class Scene:
    def __init__(self, *, alone: bool = False) -> None:
        self.steady = Steady()
        self.store = Store(self.steady)
        self.ended: list[str] = []
        self.membership = Membership(
            self.store, Node(ME, "", 27), alone=alone, end_process=self.ended.append, monotonic=self.steady
        )
        self.silences: list[bool] = []
        self.membership.on_silence(self.silences.append)


@pytest.fixture
async def scene() -> Scene:
    made = Scene()
    await made.membership.join()
    return made


async def test_a_node_that_was_removed_ends_at_once(scene: Scene) -> None:
    scene.store.removed = True
    await scene.membership.beat()
    assert len(scene.ended) == 1


async def test_the_log_names_a_node_that_was_removed(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.store.nodes, scene.store.dead = scene.store.nodes[:1], (OTHER,)
    await scene.membership.beat()
    assert f"node removed node={OTHER} address=other:1" in caplog.messages


async def test_a_beat_counts_from_when_it_began(scene: Scene) -> None:
    scene.store.takes = 0.9
    await scene.membership.beat()
    scene.steady.now += LAPSE_SECONDS - 0.9
    assert not scene.membership.is_fresh


async def test_a_node_that_announces_itself_keeps_the_time_of_its_start() -> None:
    scene = Scene(alone=True)
    scene.store.nodes = (Node(ME, "", 27, started_at=4000.0),)
    await scene.membership.join()
    await scene.membership.announce("me:2")
    assert [(node.address, node.started_at) for node in scene.membership.nodes] == [("me:2", 4000.0)]


async def test_a_node_alone_needs_no_beats() -> None:
    scene = Scene(alone=True)
    await scene.membership.join()
    scene.steady.now += 1e6
    async with scene.membership.beating():
        assert scene.membership.is_fresh
    assert not scene.store.beaten.is_set()


async def test_silence_is_told_once_and_its_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(membership, "_PAUSE_SECONDS", 0.0)
    async with scene.membership.beating():
        scene.store.away = True
        for _ in range(3):
            scene.steady.now += GAP_SECONDS / 2
            await two_beats(scene)
        assert scene.silences == [True]
        scene.store.away = False
        await two_beats(scene)
        assert scene.silences == [True, False]


async def two_beats(scene: Scene) -> None:
    """The first of them may have begun before."""
    for _ in range(2):
        scene.store.beaten.clear()
        await scene.store.beaten.wait()


async def test_a_draining_node_is_not_its_own_peoples_home(scene: Scene) -> None:
    people = [f"p_{number}" for number in range(20)]
    assert {scene.membership.home_of(person) for person in people} == {ME, OTHER}
    scene.store.away = True  # which the others see later
    await scene.membership.drain()
    assert {scene.membership.home_of(person) for person in people} == {OTHER}
    assert not scene.membership.is_leader
    scene.store.away = False
    await scene.membership.beat()
    assert {scene.membership.home_of(person) for person in people} == {OTHER}


async def test_a_silent_database_does_not_delay_the_end_of_a_node(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "ANSWER_SECONDS", 0.01)
    scene.store.is_silent = True
    async with asyncio.timeout(5):
        await scene.membership.drain()
        await scene.membership.leave()
    assert not scene.membership.is_leader


async def test_a_node_that_starts_is_not_a_home_until_it_serves(scene: Scene) -> None:
    me, other = scene.store.nodes
    people = [f"p_{number}" for number in range(20)]
    for starting, home in ((other, ME), (me, OTHER)):
        scene.store.nodes = tuple(replace(node, address="") if node is starting else node for node in (me, other))
        await scene.membership.beat()
        assert {scene.membership.home_of(person) for person in people} == {home}
        assert scene.membership.leader == home
    scene.store.nodes = (replace(me, is_draining=True), replace(other, address=""))
    await scene.membership.beat()
    assert {scene.membership.home_of(person) for person in people} == {OTHER}


@pytest.mark.parametrize(("silence", "interval"), [(0.0, 1.0), (1.9, 1.0), (2.5, 0.52), (2.99, 0.03), (3.5, 1.0)])
async def test_a_silent_node_is_judged_as_soon_as_it_lapses(scene: Scene, silence: float, interval: float) -> None:
    me, other = scene.store.nodes
    scene.store.nodes = (replace(me, silence=9.0), replace(other, silence=silence))
    await scene.membership.beat()
    assert scene.membership.interval() == pytest.approx(interval)


async def test_a_change_is_told_and_a_beat_without_one_is_not(scene: Scene) -> None:
    told: list[int] = []
    scene.membership.on_change(lambda: told.append(len(scene.membership.nodes)))
    await scene.membership.beat()
    assert told == []
    scene.store.nodes = scene.store.nodes[:1]
    await scene.membership.beat()
    assert told == [1]
    scene.store.nodes = (replace(scene.store.nodes[0], channels=("whatsapp",)),)
    await scene.membership.beat()
    assert told == [1]


async def test_the_time_is_the_databases_and_passes_steadily(scene: Scene) -> None:
    scene.store.now, scene.store.takes = 9000.0, 0.5
    await scene.membership.beat()
    assert scene.membership.database_time() == pytest.approx(9000.25)
    scene.steady.now += 7
    assert scene.membership.database_time() == pytest.approx(9007.25)
