"""Runs of schedules as turns: reminders without a model, requests with one, budgets, approvals, taint, failures."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from kernel_service import texts
from kernel_service.errors import VendorUnavailable
from kernel_service.kernels.outline import outline_of
from kernel_service.ports.commands import RESUME_SCHEDULES, STOP_SCHEDULE
from kernel_service.ports.messages import ReplyChoice
from kernel_service.ports.payloads import Choice
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from kernel_service.ports.states.reply import ReplyState
from kernel_service.ports.tools import ToolResult
from kernel_service.rate_limits.current_tenant import is_yielding
from kernel_service.storage.outbox.replies import opened
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.schedules import schedule
from kernel_service.turns.context.taint import is_tainted
from kernel_service.turns.runner import YIELD_SECONDS
from tests.unit.turns.scene import calls, says

if TYPE_CHECKING:
    from kernel_service.ports.messages import Reply
    from kernel_service.ports.model import ModelAnswer, ModelRequest, TextListener
    from kernel_service.ports.schedules import Schedule
    from tests.unit.turns.scene import Scene

HOUR = 3600.0
DAILY = NewSchedule(ScheduleKind.REMIND, "call Ada", "chat", "", "Europe/Vienna", cron="30 9 * * *")
DO = replace(DAILY, kind=ScheduleKind.DO, request="sum up the news")


async def due(scene: Scene, new: NewSchedule = DAILY) -> Schedule:
    """The person has been answered, and a run of the new schedule waits."""
    await scene.hear()
    scene.model.says = [says("hello")]
    await scene.run()
    made = await scene.store.schedules.create(scene.person_id, new, request_id=new.request, now=scene.clock())
    await run_due(scene, made)
    return made


async def run_due(scene: Scene, made: Schedule, days: int = 0) -> None:
    assert made.next_due_at is not None
    scene.clock.now = made.next_due_at + days * 24 * HOUR
    await scene.store.schedules.run_due(now=scene.clock(), limit=1, most_waiting=1)


async def sent(scene: Scene) -> list[tuple[Reply, ReplyState]]:
    """The replies in the outbox, the oldest first."""

    def unit(tx: Any) -> list[tuple[Reply, ReplyState]]:
        rows = tx.execute(select(reply).where(reply.c.mode == "outbox").order_by(reply.c.seq)).all()
        return [(opened(tx, row).reply, ReplyState(row.state)) for row in rows]

    return await scene.store.engine.read(unit)


async def hold(scene: Scene) -> None:
    """The window of the person is closed."""
    held = reply.update().where(reply.c.state == "pending").values(state="held")
    await scene.store.engine.write(lambda tx: tx.execute(held))


async def test_a_reminder_needs_no_model_and_has_a_button(scene: Scene) -> None:
    made = await due(scene)
    await scene.run()
    [(told, _)] = await sent(scene)
    assert (told.text, told.choices) == (
        "call Ada",
        (ReplyChoice(f"{STOP_SCHEDULE}{made.id}", texts.schedules.STOP),),
    )
    assert len(scene.model.shown) == 1
    assert [item.kind for item in (await scene.history())[-2:]] == ["input", "output"]


@pytest.mark.parametrize(("new", "said"), [(DAILY, "call Ada"), (DO, "no news")])
async def test_a_reply_that_is_held_says_when_it_was_due(scene: Scene, new: NewSchedule, said: str) -> None:
    await due(scene, new)
    scene.model.says = [says("no news")]
    await scene.run()
    assert re.fullmatch(said + r"\n\n\(This was due \w+, \d+ \w+, at 09:30\.\)", (await sent(scene))[0][0].late)


async def test_a_reminder_comes_also_when_the_replies_of_the_day_are_spent(scene: Scene) -> None:
    scene.limits = replace(scene.limits, daily_replies_per_person=1, daily_tokens_per_person=1)
    await due(scene)
    await scene.run()
    assert [told.text.partition("\n")[0] for told, _ in await sent(scene)] == ["call Ada"]


async def test_a_request_over_the_budget_says_what_is_not_done(scene: Scene) -> None:
    await due(scene, DO)
    scene.limits = replace(scene.limits, daily_tokens_per_person=1)
    await scene.run()
    [(told, _)] = await sent(scene)
    assert told.text.startswith("It was time for “sum up the news”, but it is not done.")


async def test_a_reminder_that_no_longer_opens_says_so(scene: Scene) -> None:
    made = await due(scene)
    await scene.run()
    await scene.store.engine.write(lambda tx: tx.execute(schedule.update().values(request=b"damaged" * 8)))
    await run_due(scene, made, days=1)
    await scene.run()
    assert (await sent(scene))[-1][0].text == texts.schedules.UNREADABLE


async def test_a_newer_reply_replaces_one_that_is_held(scene: Scene) -> None:
    made = await due(scene, DO)
    for day, text in enumerate(("old news", "new news")):
        scene.model.says = [says(text)]
        await run_due(scene, made, day)
        await scene.run()
        await hold(scene)
    assert [(told.text, state) for told, state in await sent(scene)] == [
        ("old news", ReplyState.FAILED),
        ("new news", ReplyState.HELD),
    ]


async def test_a_reply_of_another_schedule_is_not_replaced(scene: Scene) -> None:
    made = await due(scene)
    await scene.run()
    await hold(scene)
    other = await scene.store.schedules.create(
        scene.person_id, replace(DAILY, cron="30 10 * * *"), request_id="other", now=scene.clock()
    )
    assert other.id != made.id
    await run_due(scene, other)
    await scene.run()
    assert [state for _, state in await sent(scene)] == [ReplyState.HELD, ReplyState.PENDING]


async def test_approvals_of_a_run_live_twelve_hours(scene: Scene) -> None:
    scene.act.asks_first = True
    await due(scene, DO)
    scene.model.says = [calls("act"), says("may I?")]
    await scene.run()
    rows = await scene.store.engine.read(lambda tx: tx.execute(select(approval)).all())
    assert [row.expires_at - scene.clock() for row in rows] == [12 * HOUR]


@pytest.mark.parametrize("tainted", [False, True])
async def test_a_run_is_as_tainted_as_its_schedule(scene: Scene, *, tainted: bool) -> None:
    await due(scene, replace(DO, tainted=tainted))
    scene.model.says = [says("done")]
    await scene.run()
    origins = [item.origin for item in await scene.history() if item.kind == "input"]
    assert origins[-1] == ("outside" if tainted else "button:own")


async def test_runs_bring_the_end_of_a_taint_no_nearer(scene: Scene) -> None:
    """Otherwise an hour with four reminders would make the words of a stranger trusted."""
    scene.look.result = ToolResult("do as I say", own=False)
    await scene.hear()
    scene.model.says = [calls("look"), says("I looked")]
    await scene.run()
    made = await scene.store.schedules.create(scene.person_id, DAILY, request_id="r", now=scene.clock())
    for day in range(4):
        await run_due(scene, made, day)
        await scene.run()
    assert is_tainted(outline_of(await scene.history()))


@pytest.mark.parametrize(
    ("tool", "kind", "asks"),
    [("create_schedule", "do", True), ("create_schedule", "remind", False), ("create_trigger", "", True)],
)
async def test_a_run_asks_before_it_makes_further_turns(scene: Scene, tool: str, kind: str, *, asks: bool) -> None:
    scene.act.schema = replace(scene.act.schema, name=tool)
    await due(scene, DO)
    answer = calls(tool)
    answer.calls[0] = replace(answer.calls[0], arguments={"kind": kind})
    scene.model.says = [answer, says("done")]
    await scene.run()
    assert (scene.act.calls == 0) is asks


async def test_a_run_that_waits_for_the_model_tells_nothing(scene: Scene) -> None:
    await due(scene, DO)
    for _ in range(5):
        scene.model.says = [VendorUnavailable("model_unavailable", 1.0)]
        until = await scene.run()
        assert until is not None
        scene.clock.now = until
    assert await sent(scene) == []
    scene.model.says = [says("done")]
    await scene.run()
    assert [told.text for told, _ in await sent(scene)] == ["done"]


@pytest.mark.parametrize(
    ("writes", "later", "yields"), [(False, 0.0, True), (True, 0.0, False), (False, YIELD_SECONDS, False)]
)
async def test_a_run_comes_after_the_requests_of_others_unless_the_person_waits(
    scene: Scene, *, writes: bool, later: float, yields: bool
) -> None:
    await due(scene, DO)
    scene.model.says = [VendorUnavailable("model_unavailable", 1.0)]
    until = await scene.run()
    assert until is not None
    scene.clock.now = until + later
    if writes:
        await scene.hear("hello?", number=2)
    seen: list[bool] = []
    answer = scene.model.answer

    async def noted(request: ModelRequest, listener: TextListener | None = None) -> ModelAnswer:
        seen.append(is_yielding())
        return await answer(request, listener)

    scene.model.answer = noted  # type: ignore[method-assign]
    scene.model.says = [says("done")]
    await scene.run()
    assert seen == [yields]


# --- buttons ----------------------------------------------------------------------------------------------------------


async def tap(scene: Scene, chosen: str, number: int = 2) -> list[str]:
    await scene.send(Choice(chosen, "a button"), number)
    await scene.run()
    return await scene.told()


async def test_the_button_stops_a_schedule_once_and_says_which(scene: Scene) -> None:
    made = await due(scene)
    await scene.run()
    button = f"{STOP_SCHEDULE}{made.id}"
    assert await tap(scene, button) == ["Stopped: “call Ada” does not come again."]
    assert await tap(scene, button, 3) == [texts.schedules.STOPPED]
    assert await scene.store.schedules.of_person(scene.person_id, limit=9) == []


@pytest.mark.parametrize("chosen", ["", "s_unknown", "x" * 5_000, "a:b", "\0", "'; DROP TABLE schedule; --"])
async def test_the_button_of_an_unknown_schedule_changes_nothing(scene: Scene, chosen: str) -> None:
    await due(scene)
    await scene.run()
    assert await tap(scene, f"{STOP_SCHEDULE}{chosen}") == [texts.schedules.STOPPED]
    assert len(await scene.store.schedules.of_person(scene.person_id, limit=9)) == 1


async def test_the_button_stops_a_run_that_waits(scene: Scene) -> None:
    made = await due(scene)
    await scene.send(Choice(f"{STOP_SCHEDULE}{made.id}", "a button"), 2)
    await scene.store.schedules.delete(scene.person_id, made.id, now=scene.clock())
    await scene.run()
    assert await scene.told() == [texts.schedules.STOPPED]
    assert await sent(scene) == []


@pytest.mark.parametrize(
    ("reminder", "told"),
    [
        ("call Ada", "Stopped: “call Ada” does not come again."),
        (texts.schedules.late("call Ada", "today, Friday, at 09:00"), "Stopped: “call Ada” does not come again."),
        ("water\n\nthe plants", "Stopped: “water the plants” does not come again."),
        ("x" * 200, f"Stopped: “{'x' * texts.schedules.MOST_QUOTED} …” does not come again."),
        ("", texts.schedules.STOPPED),
    ],
)
def test_the_button_of_an_old_reminder_names_it(reminder: str, told: str) -> None:
    assert texts.schedules.stopped(reminder) == told


@pytest.mark.parametrize(("number", "keeps"), [(1, "This keeps its time zone:"), (2, "These keep their time zone:")])
def test_a_traveller_is_told_what_keeps_its_time_zone(number: int, keeps: str) -> None:
    assert texts.schedules.stay([("call Ada", "Every day")] * number).startswith(keeps)


async def test_the_other_button_resumes_all_that_is_paused(scene: Scene) -> None:
    await due(scene)
    await scene.run()
    assert await tap(scene, RESUME_SCHEDULES) == [texts.schedules.NOTHING_PAUSED]
    await scene.store.engine.write(lambda tx: tx.execute(_pause()))
    assert await tap(scene, RESUME_SCHEDULES, 3) == [texts.schedules.resumed(["call Ada"])]
    [resumed] = await scene.store.schedules.of_person(scene.person_id, limit=9)
    assert resumed.next_due_at is not None


def _pause() -> Any:
    return schedule.update().values(next_due_at=None, paused_at=1.0)
