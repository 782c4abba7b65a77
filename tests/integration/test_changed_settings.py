"""Settings that the operator changed hold from the next start on, also for what people asked for before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulators.openai.turns import ToolCall
from kernel_service.ports.schedules import NewSchedule, ScheduleKind
from tests.integration.injections import connect
from tests.integration.test_approvals import made, tapped
from tests.integration.test_standing import ALWAYS, DONE, NO, SLUG, card, titles, with_cards
from tests.integration.test_triggers import BANK, WISH, hearing
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

MAIL = ToolCall("GMAIL_SEND_EMAIL", {"recipient_email": "ada@example.org", "body": "hi"})


async def restart(world: World, **settings: str) -> None:
    await world.stop_kernel()
    world.settings |= settings
    await world.start_kernel()


async def in_an_hour(world: World, phone: Phone, kind: ScheduleKind, request: str) -> None:
    person = await world.person_of(phone)
    route = await world.kernel.store.inbox.last_route(person)
    assert route is not None
    new = NewSchedule(kind, request, *route, "UTC", at=world.now() + 3600)
    await world.kernel.store.schedules.create(person, new, request_id=request, now=world.now())


async def test_a_person_who_is_taken_off_the_list_gets_no_reminder_until_they_are_on_it_again(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    for phone in (alice, bob):
        await world.ask(phone, "hello")
        await in_an_hour(world, phone, ScheduleKind.REMIND, "call Ada")
    await restart(world, kernel_allowed_users=f"whatsapp:{bob.user_id}")
    world.pass_time(3601)
    assert "call Ada" in (await bob.wait_for_message(timeout=20)).text
    assert len(alice.received) == 1
    await restart(world, kernel_allowed_users="whatsapp:*")
    world.pass_time(3601)
    assert "call Ada" in (await alice.wait_for_message(timeout=20)).text


async def test_a_person_who_is_taken_off_the_list_is_told_no_news(tmp_path: Path) -> None:
    async with hearing(tmp_path) as world:
        alice, bob = world.phone("Alice"), world.phone("Bob")
        for phone in (alice, bob):
            await connect(world, phone, "gmail")
            await world.ask(phone, WISH)
        people = [await world.person_of(phone) for phone in (alice, bob)]
        before = len(alice.received)
        await restart(world, kernel_allowed_users=f"whatsapp:{bob.user_id}")
        for person in people:
            deliveries = world.emulators.composio.arrives(person, BANK, "Your account", "Please call us.")
            assert [await each for each in deliveries] == [200]
        world.pass_time(6)
        assert BANK in (await bob.wait_for_message(timeout=20)).text
        assert len(alice.received) == before


async def test_a_run_asks_before_a_call_that_the_operator_exempts_no_longer(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_approve_tools="!GMAIL_SEND_EMAIL") as world:
        alice = world.phone("Alice")
        await connect(world, alice, "gmail")
        for day in ("Monday", "Tuesday"):
            await in_an_hour(world, alice, ScheduleKind.DO, f"Greet Ada on {day}")
        world.emulators.openai.script([[MAIL], "Done.", [MAIL], "Done.", [MAIL], "Shall I?"])
        world.pass_time(3601)
        for _ in range(2):
            await alice.wait_for_message(timeout=20)
        assert len(made(world, MAIL.name)) == 2
        await in_an_hour(world, alice, ScheduleKind.DO, "Greet Ada on Friday")
        await restart(world, kernel_approve_tools="")
        world.pass_time(3601)
        question = await alice.wait_for_message(lambda message: bool(message.choices), timeout=20)
        assert "ada@example.org" in question.text
        assert len(made(world, MAIL.name)) == 2


async def test_a_button_makes_no_call_of_a_toolkit_that_the_operator_has_withdrawn(world: World) -> None:
    alice = world.phone("Alice")
    await connect(world, alice, "gmail")
    question = await world.ask(alice, "send a mail to ada@example.org: hi")
    assert question.choices
    await restart(world, kernel_toolkits="asana")
    await alice.tap(question, "Approve")
    await alice.wait_for_message(timeout=20)
    assert not made(world, MAIL.name)


async def test_a_standing_permission_does_not_hold_against_a_stricter_setting(world: World) -> None:
    alice = await with_cards(world)
    await tapped(alice, await card(world, alice), ALWAYS)
    await restart(world, kernel_approve="writes")
    world.emulators.openai.clear()
    assert titles(await card(world, alice)) == [DONE, NO]
    assert len(made(world, SLUG)) == 1
