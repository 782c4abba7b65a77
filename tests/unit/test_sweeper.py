"""The sweeper: which people a node wakes, and which rounds only the leader makes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kernel_service import sweeper as module
from kernel_service.sweeper import Sweeper
from tests.clock import Clock
from tests.node_view import ME, View

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER = "k_other"


class Inbox:
    """`own` people of this node are due, and `orphans`."""

    def __init__(self) -> None:
        self.own = ["p_own"]
        self.orphans = ["p_mine", "p_other"]
        self.looks = 0
        self.looked = asyncio.Event()

    async def due_people(self, *, owner: str, adopts: Callable[[str], bool], **_: object) -> list[str]:
        assert owner == ME
        self.looks += 1
        self.looked.set()
        return self.own + [person for person in self.orphans if adopts(person)]


class Kernels:
    def __init__(self) -> None:
        self.woken: list[str] = []

    def check(self, person_id: str) -> None:
        self.woken.append(person_id)


class Rounds:
    """Counts the rounds of all other parts."""

    def __init__(self) -> None:
        self.outbox = self.led = 0

    async def sweep(self) -> None:
        self.led += 1

    async def tick(self) -> None:
        self.led += 1

    async def forget_old(self, **_: object) -> int:
        self.led += 1
        return 0

    async def seal_clear_ids(self) -> int:
        self.led += 1
        return 0


class Evictor:
    async def sweep(self) -> None: ...

    async def bound_memory(self) -> None: ...


class Outbox:
    async def sweep(self) -> None: ...

    async def retry_held(self) -> None: ...


class Callers:
    async def check_waiting(self) -> None: ...


class Scene:
    def __init__(self, *others: str) -> None:
        self.inbox, self.kernels, self.rounds, self.view = Inbox(), Kernels(), Rounds(), View(ME, *others)
        self.view.homes["p_other"] = OTHER
        parts: Any = (
            self.inbox, self.rounds, self.rounds, self.view, self.kernels, Outbox(), self.rounds, Evictor()
        )  # fmt: skip
        led: Any = dict.fromkeys(("connect", "schedules", "watching", "events", "deletion", "revoker"), self.rounds)
        self.sweeper = Sweeper(*parts, **led, callers=Callers(), seconds=3600, clock=Clock())

    async def looked(self, times: int) -> None:
        while self.inbox.looks < times:
            self.inbox.looked.clear()
            await self.inbox.looked.wait()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DUE_SECONDS", 0.0)


async def test_a_node_wakes_its_own_people_and_the_orphans_whose_home_it_is() -> None:
    scene = Scene(OTHER)
    await scene.sweeper.sweep()
    assert scene.kernels.woken == ["p_own", "p_mine"]


async def test_a_node_among_others_looks_again_and_again() -> None:
    scene = Scene(OTHER)
    async with scene.sweeper.running():
        await scene.looked(4)


async def test_a_node_alone_looks_once_and_when_the_nodes_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    for _ in range(5):
        await scene.sweeper.follow_nodes()
    assert scene.inbox.looks == 0
    monkeypatch.setattr(module, "DUE_SECONDS", 60.0)
    scene.sweeper.check_now()
    await scene.sweeper.follow_nodes()
    assert scene.inbox.looks == 1


@pytest.mark.parametrize(("is_leader", "rounds"), [(True, 9), (False, 0)])
async def test_the_leader_alone_makes_the_rounds_of_the_database(is_leader: bool, rounds: int) -> None:
    scene = Scene(OTHER)
    scene.view.is_leader = is_leader
    async with scene.sweeper.running():
        await scene.looked(2)
    assert scene.rounds.led == rounds


@pytest.mark.parametrize("iterations", range(5))
async def test_the_rounds_end_also_if_the_nodes_change_at_that_moment(
    iterations: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end comes some iterations of the loop after the change, while the waiting round wakes up."""
    monkeypatch.setattr(module, "DUE_SECONDS", 60.0)
    scene = Scene(OTHER)
    async with asyncio.timeout(30), scene.sweeper.running():
        await scene.looked(1)
        await asyncio.sleep(0)
        scene.sweeper.check_now()
        for _ in range(iterations):
            await asyncio.sleep(0)
    assert not caplog.messages
