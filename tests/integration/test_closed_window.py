"""A reminder to a person who has not written for a day: asked with its text, held, and sent once they tap or write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from kernel.v1 import schedules_pb2
from sqlalchemy import select

from kernel_service import texts
from kernel_service.storage.schema.outbox import reply
from tests.integration.world import WHATSAPP_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from emulators.whatsapp.phones import Phone

HOUR = 3600


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("WHATSAPP_TEMPLATE", "come_back:en_US")
    monkeypatch.setenv("WHATSAPP_REMINDER_TEMPLATE", "reminder:en_US")
    async with whole_world(tmp_path, kernel_sweep_seconds=1) as whole:
        yield whole


async def remind(world: World, phone: Phone, request: str, hours: int) -> None:
    given = schedules_pb2.CreateScheduleRequest(
        user_id=f"whatsapp:{phone.user_id}",
        request_id=request,
        kind=schedules_pb2.SCHEDULE_KIND_REMIND,
        request=request,
        at=Timestamp(seconds=int(world.now()) + hours * HOUR),
    )
    await world.stub.CreateSchedule(given, metadata=bearer(WHATSAPP_TOKEN), timeout=20)


async def tried_later(world: World) -> bool:
    """Whether a reply is to be tried again."""
    later = select(reply.c.id).where(reply.c.not_before.is_not(None))
    return await world.kernel.store.engine.read(lambda tx: bool(tx.execute(later).all()))


async def test_the_template_has_its_text_and_a_tap_brings_what_waits(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    for request, hours in (("Call **Ada**\nat nine", 25), ("Buy milk", 30)):
        await remind(world, alice, request, hours)
    asked = len(world.emulators.openai.requests)
    world.pass_time(25 * HOUR)
    template = await alice.wait_for_message(timeout=20)
    assert (template.kind, template.text) == ("template", "Your reminder: Call *Ada* at nine")
    world.pass_time(5 * HOUR)
    await world.emulators.effects.wait_for(
        lambda effect: (effect.kind, effect.detail.get("text")) == ("graph_send_failed", "Buy milk")
    )
    await alice.tap(template, "Show")
    for text in ("Call *Ada*\nat nine", "Buy milk"):
        reminder = await alice.wait_for_message(timeout=20)
        assert (reminder.text, [choice.title for choice in reminder.choices]) == (text, [texts.schedules.STOP])
    assert [message.kind for message in alice.received].count("template") == 1
    assert len(world.emulators.openai.requests) == asked


async def test_a_reminder_is_sent_before_the_answer_to_a_person_who_writes(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    await remind(world, alice, "Call Ada", 25)
    world.pass_time(25 * HOUR)
    assert (await alice.wait_for_message(timeout=20)).text == "Your reminder: Call Ada"
    await alice.send("what is it?")
    assert (await alice.wait_for_message(timeout=20)).text == "Call Ada"
    assert "what is it?" in (await alice.wait_for_message(timeout=20)).text


async def test_a_daily_reminder_asks_each_day_and_the_newest_one_waits(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    soon = datetime.fromtimestamp(world.now() + HOUR, UTC)
    daily = schedules_pb2.CreateScheduleRequest(
        user_id=f"whatsapp:{alice.user_id}",
        request_id="daily",
        kind=schedules_pb2.SCHEDULE_KIND_REMIND,
        request="Drink water",
        cron=f"{soon.minute} {soon.hour} * * *",
        time_zone="UTC",
    )
    await world.stub.CreateSchedule(daily, metadata=bearer(WHATSAPP_TOKEN), timeout=20)
    world.pass_time(HOUR)
    assert (await alice.wait_for_message(timeout=20)).text == "Drink water"
    for _ in range(2):
        world.pass_time(24 * HOUR)
        template = await alice.wait_for_message(timeout=20)
        assert template.text == "Your reminder: Drink water"
    await alice.tap(template, "Show")
    assert (await alice.wait_for_message(timeout=20)).text == "Drink water"
    await world.ask(alice, "thanks")
    assert [message.text for message in alice.received].count("Drink water") == 2


async def test_a_gateway_that_starts_after_a_pause_of_the_templates_asks(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    await remind(world, alice, "Call Ada", 25)
    templates = [("reminder", "en_US"), ("come_back", "en_US")]
    for template in templates:
        await world.emulators.whatsapp.change_template(*template, "PAUSED")
    world.pass_time(25 * HOUR)
    while not await tried_later(world):
        pass  # the reply is on its way into the closed window
    await world.stop_gateway()
    for template in templates:
        world.emulators.whatsapp.graph.templates.get(*template).status = "APPROVED"
    await world.start_gateway()
    world.pass_time(2 * HOUR)
    assert (await alice.wait_for_message(timeout=20)).text == "Your reminder: Call Ada"
