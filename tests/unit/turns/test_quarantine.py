"""A turn that crashes alone is given up. No other turn is, however often processes are killed."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.kernels.kernel import Kernel
from kernel_service.ports.turns import Quarantined, TurnPlacement, TurnStatus
from kernel_service.turns import quarantine as quarantine_module
from kernel_service.turns.quarantine import (
    ISOLATED_FROM,
    MOST_QUARANTINED,
    PAUSE_SECONDS,
    PROBATION_SECONDS,
    Quarantine,
)
from tests.clock import Clock
from tests.unit.turns.scene import Scene, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.turns.runner import TurnRunner

_owners = count(1)


async def crash(scene: Scene, *placements: TurnPlacement) -> None:
    """A process crashes in the person's turn, once in each of these placements."""
    for placement in placements:
        activation = await scene.store.kernels.activate(scene.person_id, owner=f"dead {next(_owners)}")
        await scene.store.turns.next_turn(
            scene.person_id, activation.epoch, now=scene.clock(), debounce=0, placement=placement
        )


async def someone(scene: Scene, name: str, *placements: TurnPlacement) -> Kernel:
    await scene.hear(text=name, user=f"chat:{name}")
    await crash(scene, *placements)
    return Kernel(await scene.store.kernels.activate(scene.person_id, owner="k"), scene.clock())


async def until(seen: Callable[[], bool]) -> None:
    """Work also runs in the store's threads, so there is nothing to await."""
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.005)


def asked(scene: Scene) -> list[str]:
    """The people whose turns reached the model, in order."""
    return [str(items[-1]["content"]) for items in scene.model.shown]


async def lives_on(scene: Scene, runner: TurnRunner) -> None:
    """The process has served others for a while without a crash."""
    scene.model.says.insert(0, says("hello"))
    await runner.run_next(await someone(scene, f"other {next(_owners)}"))
    scene.clock.now += PROBATION_SECONDS


TWICE = (TurnPlacement.BESIDE,) * 2
OFTEN = (*TWICE, *[TurnPlacement.QUARANTINED] * (ISOLATED_FROM - 2))


# --- given up


async def test_three_crashes_in_isolation_give_the_message_up(scene: Scene) -> None:
    await scene.hear()
    await crash(scene, *OFTEN, *[TurnPlacement.ALONE] * scene.limits.crashes_alone)
    await scene.run()
    assert await scene.told() == [texts.answers.FAILED]
    turns, _, _ = await scene.store.admin.turns(scene.person_id, limit=10, before="")
    assert [(turn.status, turn.problem) for turn in turns] == [(TurnStatus.FAILED, "crashed_too_often")]
    assert scene.model.shown == []


async def test_crashes_beside_other_turns_never_give_a_message_up(scene: Scene) -> None:
    kernel = await someone(scene, "ann", *OFTEN, *[TurnPlacement.QUARANTINED] * 50)
    runner = scene.runner()
    await lives_on(scene, runner)
    scene.model.says = [says("done")]
    await runner.run_next(kernel)
    assert asked(scene)[-1] == "ann"


# --- quarantine


async def test_quarantine_limits_only_quarantined_turns(scene: Scene) -> None:
    runner, scene.model.gate = scene.runner(), asyncio.Event()
    ill = [await someone(scene, f"ill {number}", *TWICE) for number in range(MOST_QUARANTINED + 1)]
    well = [await someone(scene, f"well {number}") for number in range(3)]
    scene.model.says = [says("done") for _ in range(MOST_QUARANTINED + 4)]
    running = [asyncio.create_task(runner.run_next(kernel)) for kernel in ill[:MOST_QUARANTINED]]
    await until(lambda: len(scene.model.shown) == MOST_QUARANTINED)
    assert await runner.run_next(ill[-1]) == scene.clock() + PAUSE_SECONDS
    running += [asyncio.create_task(runner.run_next(kernel)) for kernel in well]
    await until(lambda: len(scene.model.shown) == MOST_QUARANTINED + 3)
    scene.model.gate.set()
    await asyncio.gather(*running)
    await runner.run_next(ill[-1])
    assert asked(scene)[-1] == f"ill {MOST_QUARANTINED}"


# --- isolation


async def test_turn_is_isolated_after_its_process_ran_without_it(scene: Scene) -> None:
    kernel, runner = await someone(scene, "ann", *OFTEN), scene.runner()
    began = scene.clock()
    assert await runner.run_next(kernel) == began + PROBATION_SECONDS
    scene.clock.now = began + PROBATION_SECONDS
    scene.model.says = [says("done")]
    await runner.run_next(kernel)
    assert asked(scene) == ["ann"]


async def test_each_crash_in_isolation_doubles_the_probation(scene: Scene) -> None:
    kernel = await someone(scene, "ann", *OFTEN, TurnPlacement.ALONE, TurnPlacement.ALONE)
    assert await scene.runner().run_next(kernel) == scene.clock() + 4 * PROBATION_SECONDS


async def test_no_turn_runs_beside_an_isolated_one(scene: Scene) -> None:
    runner, gate = scene.runner(), asyncio.Event()
    ill, also_ill = [await someone(scene, name, *OFTEN) for name in ("ill", "also ill")]
    other = await someone(scene, "other")
    await lives_on(scene, runner)
    scene.model.gate, scene.model.says = gate, [says("done") for _ in range(3)]
    running = [asyncio.create_task(runner.run_next(ill))]
    await until(lambda: asked(scene)[1:] == ["ill"])
    running.append(asyncio.create_task(runner.run_next(other)))
    running.append(asyncio.create_task(runner.run_next(also_ill)))
    await asyncio.sleep(0.05)  # if they were admitted, they would have started by now
    assert asked(scene)[1:] == ["ill"]
    gate.set()
    await asyncio.gather(*running)
    assert sorted(asked(scene)[1:]) == ["also ill", "ill", "other"]


async def test_isolated_turn_waits_for_running_turns(scene: Scene) -> None:
    runner, gate = scene.runner(), asyncio.Event()
    ill, other = await someone(scene, "ill", *OFTEN), await someone(scene, "other")
    await lives_on(scene, runner)
    scene.model.gate, scene.model.says = gate, [says("done")] * 2
    running = [asyncio.create_task(runner.run_next(other))]
    await until(lambda: asked(scene)[1:] == ["other"])
    running.append(asyncio.create_task(runner.run_next(ill)))
    await until(lambda: not runner._quarantine._open.is_set())
    assert asked(scene)[1:] == ["other"]
    gate.set()
    await asyncio.gather(*running)
    assert asked(scene)[1:] == ["other", "ill"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine_module, "ISOLATION_SECONDS", 0.05)


@pytest.mark.usefixtures("hasty")
async def test_isolation_times_out_and_its_crash_does_not_count(scene: Scene) -> None:
    runner, gate = scene.runner(), asyncio.Event()
    ill, other = await someone(scene, "ill", *OFTEN), await someone(scene, "other")
    await lives_on(scene, runner)
    scene.model.gate, scene.model.says = gate, [says("done")] * 2
    running = [asyncio.create_task(runner.run_next(kernel)) for kernel in (other, ill)]
    await until(lambda: len(scene.model.shown) == 3)
    # The next process sees that it has just died.
    activation = await scene.store.kernels.activate(ill.person_id, owner="next")
    found = await scene.store.turns.next_turn(ill.person_id, activation.epoch, now=scene.clock(), debounce=0)
    assert found == Quarantined(ISOLATED_FROM + 1, 0)
    gate.set()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.mark.usefixtures("hasty")
async def test_isolation_ends_when_its_time_is_up(scene: Scene) -> None:
    runner, gate = scene.runner(), asyncio.Event()
    ill, other = await someone(scene, "ill", *OFTEN), await someone(scene, "other")
    await lives_on(scene, runner)
    scene.model.gate, scene.model.says = gate, [says("done")] * 2
    running = [asyncio.create_task(runner.run_next(ill))]
    await until(lambda: asked(scene)[1:] == ["ill"])
    running.append(asyncio.create_task(runner.run_next(other)))
    await until(lambda: len(scene.model.shown) == 3)
    assert asked(scene)[1:] == ["ill", "other"]  # although the first one has not ended
    activation = await scene.store.kernels.activate(ill.person_id, owner="next")
    found = await scene.store.turns.next_turn(ill.person_id, activation.epoch, now=scene.clock(), debounce=0)
    assert found == Quarantined(ISOLATED_FROM + 1, 0)
    gate.set()
    await asyncio.gather(*running, return_exceptions=True)


async def test_other_turns_get_equal_time_between_isolations(scene: Scene) -> None:
    clock = Clock()
    quarantine = Quarantine(clock)
    turn = Quarantined(ISOLATED_FROM, 0)
    async with quarantine.beside:
        pass
    clock.now += 60
    assert quarantine.free_at(turn) <= clock()
    async with quarantine.isolated(turn):
        assert quarantine.free_at(turn) == clock() + PAUSE_SECONDS
        clock.now += 7
    assert quarantine.free_at(turn) == clock() + 7


async def test_cancelled_isolated_turn_ends_the_isolation() -> None:
    quarantine, turn = Quarantine(Clock()), Quarantined(ISOLATED_FROM, 0)

    async def isolated() -> None:
        async with quarantine.isolated(turn):
            await asyncio.Event().wait()

    task = asyncio.create_task(isolated())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(1), quarantine.beside:
        pass


@pytest.mark.parametrize("seed", range(10))
def test_external_kills_rarely_hit_an_isolated_turn(seed: int) -> None:
    """A random simulation of the rules: a turn of 1 s without progress, and a kill every 1 to 20 s."""
    rng, given_up = random.Random(seed), 0
    for _ in range(300):
        crashes = alone = 0
        while crashes < 30 and alone < 3:
            life = rng.uniform(1, 20)
            waits = PROBATION_SECONDS * 2**alone if crashes >= ISOLATED_FROM else 0.0
            if life > waits + 1.0:
                break  # it ended
            if life > waits:
                crashes, alone = crashes + 1, alone + (crashes >= ISOLATED_FROM)
            elif crashes < ISOLATED_FROM:
                crashes += 1
        given_up += alone >= 3
    assert given_up == 0
