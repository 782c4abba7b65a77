"""The page about personal data, with a person who told a fact."""

from pathlib import Path

import pytest

from emulators.openai.turns import ToolCall
from tests.documents.operator import told
from tests.documents.page import Page
from tests.documents.words import assert_shown
from tests.integration.world import whole_world

THEIRS = "telegram:4711"


async def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Page("docs/how-to/personal-data.md") as page:
        async with whole_world(tmp_path) as world:
            await world.tell(THEIRS, "hello", "m1")
            world.emulators.openai.script([[ToolCall("remember", {"fact": "Likes tea."})], "Noted."])
            await world.tell(THEIRS, "I like tea", "m2")
            command = page.take("sh")
            assert_shown(page.take("text"), await told(world, command, {"whatsapp:15550004711": THEIRS}))
