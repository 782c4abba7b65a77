"""Schedules over the wire: reminders with their button, requests to the model, budgets, restarts, a clock set back."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from kernel.v1 import admin_pb2

from kernel_service import texts
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from kernel_service.ports.schedules import Schedule
    from tests.integration.world import World

HOUR, DAY = 3600.0, 86_400.0
LIMIT_REACHED = "Today's limit is reached"


@pytest.fixture
async def alice(world: World) -> Phone:
    phone = world.phone("Alice")
    await world.ask(phone, "hello")
    return phone


async def create(world: World, phone: Phone, request: str, *, kind: str = "remind", cron: str = "") -> Schedule:
    """In an hour, or by cron fields in UTC."""
    route = await world.kernel.store.inbox.last_route(await world.person_of(phone))
    assert route is not None
    new = NewSchedule(ScheduleKind(kind), request, *route, "UTC", cron=cron, at=None if cron else world.now() + HOUR)
    person = await world.person_of(phone)
    return await world.kernel.store.schedules.create(person, new, request_id=request, now=world.now())


def hourly(world: World) -> str:
    """The cron fields of a run each hour of half a day from the next minute but one."""
    soon = datetime.fromtimestamp(world.now() + 120, UTC)
    hours = ",".join(str((soon.hour + more) % 24) for more in range(12))
    return f"{soon.minute} {hours} * * *"


async def comes(phone: Phone) -> ChatMessage:
    return await phone.wait_for_message(timeout=20)


async def scheduled_of(world: World, phone: Phone) -> list[Schedule]:
    return list(await world.kernel.store.schedules.of_person(await world.person_of(phone), limit=10))


async def test_a_reminder_comes_as_it_is_and_its_button_stops_it(world: World, alice: Phone) -> None:
    await create(world, alice, "Call Ada!", cron=hourly(world))
    asked = len(world.emulators.openai.requests)
    world.pass_time(125)
    reminder = await comes(alice)
    assert reminder.text == "Call Ada!"
    assert len(world.emulators.openai.requests) == asked
    for _ in range(2):
        await alice.tap(reminder, texts.schedules.STOP)
        assert (await comes(alice)).text == texts.schedules.stopped("Call Ada!")
    assert await scheduled_of(world, alice) == []


async def test_the_button_of_another_person_has_no_effect(world: World, alice: Phone) -> None:
    await create(world, alice, "Call Ada", cron=hourly(world))
    world.pass_time(125)
    reminder = await comes(alice)
    bob = world.phone("Bob")
    await world.ask(bob, "hello")
    await bob.tap(reminder, texts.schedules.STOP)
    assert (await comes(bob)).text == texts.schedules.STOPPED
    assert len(await scheduled_of(world, alice)) == 1


async def test_the_model_knows_the_reminder_that_the_person_answers(world: World, alice: Phone) -> None:
    await create(world, alice, "Call Ada")
    world.pass_time(HOUR)
    await comes(alice)
    await world.ask(alice, "not now, tomorrow please")
    asked = str(world.emulators.openai.requests[-1].body["input"])
    assert "A reminder that the person set is due" in asked
    assert "Call Ada" in asked


async def test_a_request_to_the_model_is_a_turn(world: World, alice: Phone) -> None:
    await create(world, alice, "say the magic word", kind="do")
    world.pass_time(HOUR)
    assert "magic word" in (await comes(alice)).text
    asked = str(world.emulators.openai.requests[-1].body["input"])
    assert "A schedule that the person set is due" in asked
    assert "[Due on " in asked
    assert await scheduled_of(world, alice) == []


async def test_a_reminder_comes_also_when_the_budget_is_spent(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_daily_tokens_per_user=1, kernel_daily_replies_per_user=2) as world:
        alice = world.phone("Alice")
        await world.ask(alice, "hello")
        assert LIMIT_REACHED in (await world.ask(alice, "and now?")).text
        await create(world, alice, "sum up the news", kind="do")
        await create(world, alice, "Call Ada")
        world.pass_time(HOUR)
        assert (await comes(alice)).text.startswith("Call Ada")


async def test_a_late_single_reminder_says_when_it_was_due(world: World, alice: Phone) -> None:
    made = await create(world, alice, "Call Ada")
    await world.stop_kernel()
    world.pass_time(20 * HOUR)
    await world.start_kernel()
    assert made.asked.at is not None
    due = datetime.fromtimestamp(made.asked.at, UTC)
    text = (await comes(alice)).text
    assert text.startswith("Call Ada\n\n(This was due ")
    assert text.endswith(f"{due:%A}, {due.day} {due:%B}, at {due:%H:%M}.)") or "today" in text


async def test_with_the_clock_set_back_an_hour_each_run_is_made_once(world: World, alice: Phone) -> None:
    await create(world, alice, "Call Ada", cron=hourly(world))
    world.pass_time(125)
    assert (await comes(alice)).text == "Call Ada"
    world.wall = lambda: time.time() - HOUR
    await world.ask(alice, "hello again")
    await world.stop_kernel()
    await world.start_kernel()
    await world.ask(alice, "still there?")
    assert sum(message.text == "Call Ada" for message in alice.received) == 1
    world.pass_time(2 * HOUR)
    assert (await comes(alice)).text.startswith("Call Ada")


async def test_a_silent_person_gets_one_reminder_and_the_news_of_the_pause(world: World, alice: Phone) -> None:
    """The window is closed after a day: each held reminder is replaced by the next one."""
    soon = datetime.fromtimestamp(world.now() + 120, UTC)
    await create(world, alice, "Call Ada", cron=f"{soon.minute} {soon.hour} * * *")
    world.pass_time(125)
    assert (await comes(alice)).text == "Call Ada"
    for day in range(1, 6):
        [before] = await scheduled_of(world, alice)
        world.pass_time(DAY)
        while await scheduled_of(world, alice) == [before] or await on_its_way(world, alice):
            await asyncio.sleep(0.05)
        assert sum(message.text == "Call Ada" for message in alice.received) == 1, day
    await alice.send("I am back")
    reminder, notice = await comes(alice), await comes(alice)
    assert reminder.text == "Call Ada"
    assert "paused" in notice.text
    assert "I am back" in (await comes(alice)).text
    await alice.tap(notice, texts.schedules.RESUME)
    assert (await comes(alice)).text.startswith("I resumed this")
    [resumed] = await scheduled_of(world, alice)
    assert resumed.next_due_at is not None


async def on_its_way(world: World, phone: Phone) -> bool:
    settled = {admin_pb2.REPLY_STATE_SENT, admin_pb2.REPLY_STATE_HELD, admin_pb2.REPLY_STATE_FAILED}
    return any(reply.state not in settled for reply in await world.replies_to(phone))
