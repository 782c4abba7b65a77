"""Turns that wait for a vendor's queue, turns over their budget, and the cost of tools."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from kernel_service import texts
from kernel_service.cluster.freshness import check_fresh
from kernel_service.errors import Busy
from kernel_service.ports.nodes import BEAT_SECONDS
from kernel_service.ports.outbox import Outcome, PartAck
from kernel_service.turns.limits import TurnLimits
from tests.contract.store.outbox import pull
from tests.node_view import View
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from tests.unit.turns.scene import Scene

DAY = 86_400


async def notices(scene: Scene) -> list[str]:
    """The replies that left by the outbox. Each is sent before the next one is leased."""
    told = []
    while leases := await pull(scene.store, channel="chat", limit=10, seconds=60, now=scene.clock()):
        for lease in leases:
            told.append(lease.reply.reply.text)
            ack = PartAck(lease.reply.id, 1, 1, "1", lease.token, Outcome.SENT, "wamid")
            await scene.store.outbox.settle("chat", [ack], now=scene.clock())
    return told


# --- busy -----------------------------------------------------------------------------------------------------------


async def test_long_wait_is_announced_once(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    for seconds in (3.0, 18.0, 40.0):
        scene.model.says = [Busy("model_busy", seconds)]
        await scene.run(kernel)
        due = await scene.run(kernel)
        assert due == pytest.approx(scene.clock() + seconds)
        scene.clock.now += seconds + 0.1
    scene.model.says = [says("at last")]
    await scene.run(kernel)
    assert await scene.told() == ["at last"]
    assert await notices(scene) == [texts.limits.busy(20)]


async def test_short_waits_are_not_announced(scene: Scene) -> None:
    await scene.hear()
    kernel = await scene.activated()
    for _ in range(10):
        scene.model.says = [Busy("model_busy", 9.0)]
        await scene.run(kernel)
        scene.clock.now += 9
    scene.model.says = [says("at last")]
    await scene.run(kernel)
    assert await scene.told() == ["at last"]
    assert await notices(scene) == []


@pytest.mark.parametrize("name", ["look", "act"])
async def test_call_refused_as_busy_is_made_later_once(scene: Scene, name: str) -> None:
    await scene.hear()
    tool = {"look": scene.look, "act": scene.act}[name]
    done, tool.result = tool.result, Busy("tools_busy", 5.0)
    scene.model.says = [calls(name), says("done")]
    await scene.run()
    assert (tool.calls, len(scene.model.shown)) == (1, 1)
    scene.clock.now += 5
    tool.result = done
    await scene.run()  # at once, since nothing is in doubt
    assert tool.calls == 2
    assert scene.model.shown[1][-1]["output"] == f"{name} done"
    assert await scene.told() == ["done"]


async def test_a_node_without_a_heartbeat_makes_no_call_with_side_effects(scene: Scene) -> None:
    await scene.hear()
    view = View()
    runner = scene.runner(before_effect=partial(check_fresh, view))
    view.is_fresh = False
    scene.model.says = [calls("look"), calls("act"), says("done")]
    kernel = await scene.activated()
    due = await runner.run_next(kernel)
    assert due == scene.clock() + BEAT_SECONDS
    assert (scene.look.calls, scene.act.calls) == (1, 0)
    scene.clock.now += BEAT_SECONDS
    view.is_fresh = True
    await runner.run_next(kernel)
    assert scene.act.calls == 1  # nothing is in doubt
    assert await scene.told() == ["done"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(11, "15 seconds"), (20, "20 seconds"), (91, "2 minutes"), (3600, "60 minutes"), (7000, "2 hours")],
)
def test_waits_are_announced_in_round_numbers(seconds: float, told: str) -> None:
    assert texts.limits.busy(seconds).endswith(f"about {told}.")


# --- budgets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [TurnLimits(daily_tokens_per_person=30), TurnLimits(daily_tokens=30)])
async def test_turn_ends_at_its_budget_and_says_when_it_is_reset(scene: Scene, limits: TurnLimits) -> None:
    scene.limits = limits
    scene.clock.now += DAY - scene.clock.now % DAY - 3 * 3600  # three hours to midnight
    await scene.hear()
    scene.model.says = [calls("look"), calls("act"), says("never asked for")]
    await scene.run()
    assert len(scene.model.shown) == 2  # 15 tokens each
    assert scene.act.calls == 1
    assert await scene.told() == [texts.limits.budget_spent(3 * 3600)]
    scene.model.says = [says("on the next day")]
    await scene.hear("again", number=2)
    await scene.run()
    assert await scene.told() == [texts.limits.budget_spent(3 * 3600)]
    scene.clock.now += 3 * 3600
    await scene.hear("and again", number=3)
    await scene.run()
    assert await scene.told() == ["on the next day"]


async def test_budgets_of_people_are_separate(scene: Scene) -> None:
    scene.limits = TurnLimits(daily_tokens_per_person=15)
    await scene.hear()
    scene.model.says = [says("one"), says("two")]
    await scene.run()
    await scene.hear(number=2, user="chat:2")
    await scene.run()
    assert await scene.told() == ["two"]


# --- cost of tools --------------------------------------------------------------------------------------------------


async def test_each_call_counts_with_its_tool(scene: Scene) -> None:
    await scene.hear()
    scene.act.result = RuntimeError("the line broke")
    scene.model.says = [calls("look", "act"), calls("there_is_none"), says("done")]
    await scene.run()
    today = int(scene.clock() // DAY)
    [day] = await scene.store.spending.by_day(scene.person_id, first=today, last=today)
    assert [(tool.tool, tool.calls, tool.failures) for tool in day.tools] == [("act", 1, 1), ("look", 1, 0)]
    assert all(0 <= tool.seconds < 5 for tool in day.tools)
    assert day.usage.tool_calls == 3
