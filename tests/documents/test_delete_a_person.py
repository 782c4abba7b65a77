"""The steps of the page, with a person who has connected an account."""

import asyncio
import json
import shlex
from pathlib import Path

from click.testing import CliRunner

from kernelctl.kernelctl import main
from tests.documents.operator import WHO, told
from tests.documents.page import Page
from tests.documents.words import assert_shown
from tests.integration.test_conversation import connect
from tests.integration.world import ADMIN_TOKEN, whole_world

SHOWN = "p_01M8DR8TWJYYZB8VV091Z1JW5T"


async def test_the_page(tmp_path: Path) -> None:
    with Page("docs/how-to/delete-a-person.md") as page:
        async with whole_world(tmp_path) as world:
            alice = world.phone("Alice")
            await connect(world, alice)
            for text in ("remember that I like tea", "my name is Alice", "remind me in 3 hours to call Ada"):
                await world.ask(alice, text)
            person, ours = await world.person_of(alice), {WHO: f"whatsapp:{alice.user_id}"}
            shown = json.loads(await told(world, page.take("sh"), ours))
            assert shown["kernel"]["person_id"] == person
            program, *words = shlex.split(page.take("sh"))
            assert program == "kernelctl"
            words = [
                "--address",
                world.kernel_address,
                "--token",
                ADMIN_TOKEN,
                *(ours.get(each, each) for each in words),
            ]
            done = await asyncio.to_thread(CliRunner().invoke, main, words, input=f"{person}\n")
            assert_shown(page.take("text").replace(SHOWN, person), done.output)
