"""Worlds with the settings of the page, and the sentences that it shows."""

import re
from pathlib import Path

from tests.documents.operator import settings, told
from tests.documents.page import Page
from tests.documents.words import assert_shown
from tests.integration.world import whole_world


async def test_the_page(tmp_path: Path) -> None:
    with Page("docs/how-to/limits-and-budgets.md") as page:
        tokens = settings(page.take("ini")) | settings(page.take("ini"))
        async with whole_world(tmp_path, **tokens) as world:
            alice = world.phone("Alice")
            assert "good news" in (await world.ask(alice, "good news")).text
            refused = (await world.ask(alice, "more news")).text
            assert_shown(page.take("text"), with_hours_of_the_page(refused))
            spent = await told(world, page.take("sh"))
            assert_shown(page.take("text"), spent)
        others = settings(page.take("ini"))
        last = page.take("text")
        others |= settings(page.take("ini")) | settings(page.take("ini"))
        async with whole_world(tmp_path, **others) as world:
            bob = world.phone("Bob")
            assert "last message" not in (await world.ask(bob, "good news")).text
            assert_shown(f"…{last}", with_hours_of_the_page((await world.ask(bob, "more news")).text))


def with_hours_of_the_page(text: str) -> str:
    """A day ends in some hours, minutes or seconds, whenever the test runs."""
    return re.sub(r"\d+ (?:hours|minutes|seconds)\.", "4 hours.", text)
