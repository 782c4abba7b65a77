"""The page's tools are those of docs/examples, and a person uses them in a world with the page's settings."""

from pathlib import Path

import pytest

from tests.documents.operator import settings
from tests.documents.page import ROOT, Page
from tests.documents.words import assert_shown
from tests.integration.world import whole_world


async def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = (ROOT / "docs/examples/tools.py").read_text()
    with Page("docs/how-to/own-assistant.md") as page:
        instructions = page.take("text")
        (tmp_path / "assistant.md").write_text(instructions)
        for _ in ("opening_hours", "add_note", "send_notes", "delete_notes"):
            assert page.take("python") in example
        async with whole_world(tmp_path, **settings(page.take("ini"))) as world:
            alice = world.phone("Alice")
            await world.ask(alice, "use send_notes")  # a chat with content from others
            await world.ask(alice, page.take("text").strip())
            added = await world.ask(alice, page.take("text").strip())
            assert_shown(page.take("text"), added.text)
            asked = await world.ask(alice, page.take("text").strip())
            assert_shown(page.take("text"), asked.text)
            assert world.emulators.openai.requests[0].body["instructions"].endswith(instructions.strip())
            sent = await world.ask(alice, "use send_notes")
            assert sent.file
            await alice.tap(asked, "Approve")
            assert "The notes are deleted." in (await alice.wait_for_message()).text
