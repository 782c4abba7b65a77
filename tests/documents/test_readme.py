"""README is short, its commands exist, and its story happens as it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.connect_browser import a_browser
from tests.documents.checkout import Checkout
from tests.documents.page import ROOT, Page
from tests.e2e.phones import phones

if TYPE_CHECKING:
    from pathlib import Path

README = (ROOT / "README.md").read_text()
THREE_HOURS = 3 * 3600.0


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_it_says_the_policy_of_whatsapp_before_the_start() -> None:
    assert README.index("business-solution-terms") < README.index("## Start")


async def test_its_story(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    with Page("README.md") as page:
        run, test = (line.partition("#")[0].strip() for line in page.take("sh").splitlines())
    assert test == "make test"
    async with checkout.serving(run), phones(checkout.here("http://127.0.0.1:8090")) as people:
        ids = {name: await people.add(name) for name in ("Alice", "Bob")}
        story = re.findall(r"^\| (Alice|Bob) \| `(.+)` \|", README, re.MULTILINE)
        tells = ((await people.answer(ids[name], text)) for name, text in story)

        connect = await anext(tells)
        async with a_browser() as browser:
            await people.write(ids["Alice"], f"Connect {await browser.follow(connect['link']['url'])}")
        assert "Prepare the demo" in (await people.next_message(ids["Alice"]))["text"]

        separate = await anext(tells)
        assert separate["link"]
        assert "Prepare the demo" not in separate["text"]

        assert (await anext(tells))["text"].startswith("Set.")
        await people.let_pass(THREE_HOURS)
        assert "Call Ada" in (await people.next_message(ids["Alice"]))["text"]

        assert "remember" in (await anext(tells))["text"]

        question = await anext(tells)
        assert "Delete a task" in question["text"]
        assert "Prepare the demo" in question["text"]
        assert await anext(tells, None) is None, "a row of the story that this test does not know"
