"""The incidents of the page, caused at the emulated vendors and repaired with its commands."""

import logging
import venv
from pathlib import Path

import pytest

from emulators.whatsapp.phones import Phone
from tests.documents.operator import WHO, told
from tests.documents.page import Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.integration.world import World, whole_world


async def test_the_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Page("docs/how-to/incidents.md") as page:
        finds_the_token(page.take("sh"), tmp_path)
        async with whole_world(tmp_path) as world:
            await finds_an_answer_that_waited(page, world, caplog)
            await runs_a_dead_letter_again(page, world)
            await resets_and_merges(page, world)


def finds_the_token(command: str, folder: Path) -> None:
    (folder / "var").mkdir()
    venv.create(folder / ".venv")
    (folder / "var" / "keys.env").write_text("KERNEL_ADMIN_TOKEN=the-operators-token\n")
    shown = printed(f"{command}\nprintenv KERNEL_ADMIN_TOKEN VIRTUAL_ENV", folder)
    assert shown.splitlines() == ["the-operators-token", str(folder / ".venv")]


async def finds_an_answer_that_waited(page: Page, world: World, caplog: pytest.LogCaptureFixture) -> None:
    alice = world.phone("Alice")
    looking = page.take("sh")
    assert_shown(page.take("text"), await shown(world, alice, looking))
    world.emulators.openai.fail(401, times=1000)
    with caplog.at_level(logging.WARNING):
        await alice.send("good news")
        while "HELD" not in (held := await shown(world, alice, looking)):
            pass
    assert_shown(page.take("text"), held)
    assert page.take("text").strip() in caplog.messages
    world.emulators.openai.clear()
    assert "good news" in (await alice.wait_for_message()).text
    replies = page.take("sh")
    while "DELIVERED" not in (delivered := await shown(world, alice, replies)):
        pass
    assert_shown(page.take("text"), delivered)


async def runs_a_dead_letter_again(page: Page, world: World) -> None:
    bob = world.phone("Bob")
    world.emulators.openai.fail(400)
    assert "Something went wrong" in (await world.ask(bob, "good news")).text
    letters = await shown(world, bob, page.take("sh"))
    assert_shown(page.take("text"), letters)
    [letter] = [line.split('"')[3] for line in letters.splitlines() if '"id"' in line]
    ran = await told(world, page.take("sh"), {"dl_01M8CTCGX1NDTX3QZMRF1QTH09": letter})
    assert_shown(page.take("text"), ran)
    assert "good news" in (await bob.wait_for_message()).text


async def resets_and_merges(page: Page, world: World) -> None:
    alice, stranger = (phone for phone in world.emulators.whatsapp.phones if phone.label in {"Alice", "Bob"})
    reset = await shown(world, alice, page.take("sh"))
    assert_shown(page.take("text"), reset)
    other = await world.person_of(stranger)
    ids = {"p_01M8CTCFFHF2VZHKHQ5RZM1972": other, WHO: f"whatsapp:{alice.wa_id}"}
    merged = await told(world, page.take("sh"), ids)
    assert_shown(page.take("text"), merged)
    assert await world.person_of(stranger) == await world.person_of(alice) != other


async def shown(world: World, phone: Phone, command: str) -> str:
    """The output of a command for the phone's person, named by their number."""
    return await told(world, command, {WHO: f"whatsapp:{phone.wa_id}"})
