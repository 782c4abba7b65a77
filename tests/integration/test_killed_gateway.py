"""A gateway dies with answers in transit. All of them arrive within 45 seconds, in order, and none twice.

The test is deterministic: it sets the clock of the kernel service and of the emulated Graph API, which takes a second
for each message.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from emulators.faults import Fault, Faults
from emulators.openai.load_rule import TOKEN
from tests.integration.cable import Cable
from tests.ports import free_port
from whatsapp_gateway.outbound import deliveries, reply_sender

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from emulators.faults import Call
    from emulators.whatsapp.phones import Phone
    from kernel_service.outbox.outbox import Outbox
    from kernel_service.outbox.pull_stream import PullStream
    from tests.integration.mortal import MortalGateway
    from tests.integration.world import World

PEOPLE: Final = 30
WANTED_SECONDS: Final = 45.0
STEP: Final = 0.5
"""Half of the time of a Graph API call: one step to accept a message, one to answer."""
AWAY_SECONDS: Final = 1.5
REDELIVERY_SECONDS: Final = 10.0
"""The time after the death at which WhatsApp retries its webhooks."""
DROPPED: Final = Fault(status=0, times=1, match=lambda _: True)


class Clock:
    """A clock that the test sets forward."""

    def __init__(self) -> None:
        self._began = time.time(), time.monotonic()
        self.passed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def wall(self) -> float:
        return self._began[0] + self.passed

    def monotonic(self) -> float:
        return self._began[1] + self.passed

    async def sleep(self, seconds: float) -> None:
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.passed + seconds, sleeper))
        await sleeper

    def advance(self, seconds: float) -> None:
        self.passed += seconds
        due = [sleeper for until, sleeper in self._sleepers if until <= self.passed]
        self._sleepers = [(until, sleeper) for until, sleeper in self._sleepers if until > self.passed]
        for sleeper in due:
            sleeper.set_result(None)


class Slow(Faults):
    """Each call takes steps of the clock. `inside` are the replies in progress; those of `lost` people are dropped."""

    def __init__(self, clock: Clock, inside: set[str]) -> None:
        super().__init__()
        self.lost: set[str] = set()
        self._clock = clock
        self._inside = inside

    async def pass_through(self, call: Call) -> Fault | None:
        if call.body.get("status") == "read":
            return None
        reply_id = call.body["biz_opaque_callback_data"].partition("/")[0]
        self._inside.add(reply_id)
        await self._clock.sleep(STEP)
        self._inside.discard(reply_id)
        return DROPPED if call.person in self.lost else None


class Scene:
    """`sends`: the messages that the Graph API accepted, with the clock's time. `left`: leases of dead gateways."""

    def __init__(self, world: World, database: Path) -> None:
        self.world = world
        self.clock = Clock()
        self.sends: list[tuple[float, str, str]] = []
        self._database = database
        self._inside: set[str] = set()
        self._left: set[str] = set()
        self._alive = 0
        self._redelivered_at = 0.0
        self._nowhere = f"http://127.0.0.1:{free_port()}/webhook"
        self.graph = Slow(self.clock, self._inside)
        world.wall, world.monotonic = self.clock.wall, self.clock.monotonic
        world.emulators.whatsapp.graph.before = self.graph
        world.emulators.whatsapp.graph.after = Slow(self.clock, self._inside)
        world.emulators.whatsapp.webhooks.backoff = lambda _: 0.1

    async def step(self) -> None:
        """Let half a second pass, and wait for its consequences."""
        self.clock.advance(STEP)
        if self.clock.passed >= self._redelivered_at:
            self.world.emulators.whatsapp.webhooks.url = self.world.webhook_url
        await self._outbox.sweep()
        await self.quiet()
        for effect in self.world.emulators.effects.all("graph_send")[len(self.sends) :]:
            for token in TOKEN.finditer(effect.detail["text"]):
                self.sends.append((self.clock.passed, effect.person, token[0]))

    async def steps(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            await self.step()

    async def write(self, phones: list[Phone], number: int) -> None:
        """Let each person write their message of that number, until all answers are in transit."""
        await asyncio.gather(*(phone.send(token_of(phone, number)) for phone in phones))
        await self.quiet()

    async def kill(self, gateway: MortalGateway) -> None:
        """Kill a gateway. Webhooks fail from now on, and are retried after a while."""
        self._alive -= 1
        self._redelivered_at = self.clock.passed + REDELIVERY_SECONDS
        self.world.emulators.whatsapp.webhooks.url = self._nowhere
        await gateway.die()
        await self._until(lambda: len(self._streams) == self._alive)  # until then it may still get leases
        self._left |= self._ids(_LEASED)

    @property
    def _streams(self) -> tuple[PullStream, ...]:
        """The attached ones."""
        return self._outbox._streams["whatsapp"]

    async def cut(self, cable: Cable) -> None:
        """Cut the connection, while both ends run on."""
        streams = set(self._streams)
        cable.cut()
        await self._until(lambda: streams.isdisjoint(self._streams))

    async def start(self, *, beside: bool = False) -> MortalGateway:
        """Start a gateway, without an earlier retry of WhatsApp's webhooks."""
        webhooks = self.world.emulators.whatsapp.webhooks
        before = webhooks.url
        gateway = await self.world.start_mortal_gateway(beside=beside)
        self._alive += 1
        if self.clock.passed < self._redelivered_at:
            webhooks.url = before
        return gateway

    async def start_behind_a_cable(self) -> Cable:
        """Start a gateway with a cable to its kernel service."""
        cable = Cable(self.world.kernel.port)
        await cable.plug_in()
        await self.world.start_gateway_behind(cable.address)
        self._alive += 1
        return cable

    async def quiet(self) -> None:
        """Wait until nothing can happen before the clock advances. Raises TimeoutError."""
        await self._until(lambda: not self._busy())

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(50):
            while not true():
                await asyncio.sleep(0.005)

    @property
    def _outbox(self) -> Outbox:
        return self.world.kernel.sweeper._outbox

    def _busy(self) -> bool:
        webhooks = self.world.emulators.whatsapp.webhooks
        if webhooks.url == self.world.webhook_url and webhooks._deliveries:
            return True
        if len(self._streams) < self._alive:
            return True
        waiting = self._ids(_LEASABLE) if self._alive else set()
        return bool(waiting or self._ids(_UNSENT) - self._left or self._ids(_OPEN))

    def _ids(self, query: str) -> set[str]:
        values = {"now": self.clock.wall(), "inside": json.dumps(list(self._inside))}
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as database:
            return {row[0] for row in database.execute(query, values)}


_OPEN: Final = "SELECT message_id FROM message WHERE status IN ('accepted', 'held')"
_LEASED: Final = "SELECT id FROM reply WHERE state = 'leased'"
_UNSENT: Final = """
SELECT id FROM reply WHERE state = 'leased' AND NOT EXISTS (
  SELECT 1 FROM reply other JOIN json_each(:inside) inside ON inside.value = other.id
  WHERE other.person_id = reply.person_id)
"""
"""SQL condition: the Graph API has no call of this person in progress."""
_LEASABLE: Final = """
SELECT id FROM reply WHERE state = 'pending' AND coalesce(not_before, 0) <= :now AND NOT EXISTS (
  SELECT 1 FROM reply earlier WHERE earlier.person_id = reply.person_id AND earlier.seq < reply.seq
  AND earlier.state IN ('pending', 'leased', 'in_doubt'))
"""


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch, world: World, tmp_path: Path) -> Scene:
    monkeypatch.setattr(reply_sender, "SEND_SECONDS", 60)  # by the real clock, which is irrelevant here
    monkeypatch.setattr(deliveries, "DRAIN_SECONDS", 0.1)  # for dead gateways, which are closed with the world
    await world.stop_gateway()
    return Scene(world, tmp_path / "kernel.db")


def token_of(phone: Phone, number: int) -> str:
    return f"load {phone.label}m{number}"


def people(world: World) -> list[Phone]:
    return [world.phone(f"p{number}") for number in range(1, PEOPLE + 1)]


def assert_answered(scene: Scene, phones: list[Phone], messages: int, *, by: float) -> None:
    """Check that all were answered once, in order and in time."""
    told = {phone.user_id: [token for _, person, token in scene.sends if person == phone.user_id] for phone in phones}
    assert told == {phone.user_id: [f"{phone.label}m{number}" for number in range(1, messages + 1)] for phone in phones}
    assert max(at for at, _, _ in scene.sends) <= by


async def test_replies_in_progress_arrive_in_time_in_order_and_once(scene: Scene) -> None:
    gateway = await scene.start()
    phones = people(scene.world)
    await scene.write(phones, 1)
    # Half of the calls never reach the Graph API. The others do, and no gateway gets the answer.
    scene.graph.lost = {phone.user_id for phone in phones[::2]}
    await scene.kill(gateway)
    killed_at = scene.clock.passed
    writing = [asyncio.create_task(phone.send(token_of(phone, 2))) for phone in phones]
    await scene.steps(AWAY_SECONDS)
    scene.graph.lost.clear()
    await scene.start()
    await scene.steps(WANTED_SECONDS - AWAY_SECONDS)
    await asyncio.gather(*writing)
    assert_answered(scene, phones, 2, by=killed_at + WANTED_SECONDS)


async def test_five_crashes_one_after_the_other(scene: Scene) -> None:
    phones = people(scene.world)
    for number in range(1, 6):
        gateway = await scene.start()
        await scene.steps(REDELIVERY_SECONDS)
        await scene.write(phones, number)
        scene.graph.lost = {phone.user_id for phone in phones[number::5]}
        await scene.kill(gateway)
        await scene.steps(AWAY_SECONDS)
        scene.graph.lost.clear()
    killed_at = scene.clock.passed - AWAY_SECONDS
    await scene.start()
    await scene.steps(WANTED_SECONDS - AWAY_SECONDS)
    assert_answered(scene, phones, 5, by=killed_at + WANTED_SECONDS)


async def test_one_of_two_gateways_takes_over_the_replies_of_the_dead_one(scene: Scene) -> None:
    await scene.start()
    other = await scene.start(beside=True)
    phones = people(scene.world)
    await scene.write(phones, 1)
    scene.graph.lost = {phone.user_id for phone in phones[::2]}  # for both gateways
    await scene.kill(other)
    await scene.step()
    scene.graph.lost.clear()
    await scene.steps(WANTED_SECONDS - STEP)
    assert_answered(scene, phones, 1, by=WANTED_SECONDS)


async def test_a_gateway_with_a_broken_connection_sends_nothing_twice(scene: Scene) -> None:
    cable = await scene.start_behind_a_cable()
    phones = people(scene.world)
    await scene.write(phones, 1)
    await scene.cut(cable)
    await scene.steps(AWAY_SECONDS)
    await scene.write(phones, 2)
    await scene.steps(STEP)
    await scene.cut(cable)
    await scene.steps(WANTED_SECONDS)
    await cable.unplug()
    assert_answered(scene, phones, 2, by=2 * AWAY_SECONDS)


async def test_unstarted_replies_resume_at_once_after_a_broken_connection(scene: Scene) -> None:
    cable = await scene.start_behind_a_cable()
    phone = scene.world.phone("p1")
    await phone.send("load long p1m1")
    await scene.quiet()
    await scene.cut(cable)
    await scene.steps(WANTED_SECONDS / 5)
    await cable.unplug()
    sends = scene.world.emulators.effects.all("graph_send")
    assert [effect.key.partition("/")[2] for effect in sends] == ["1/3", "2/3", "3/3"]
