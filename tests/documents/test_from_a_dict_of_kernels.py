"""The bot of the page before and after its move, and the facts that move with it."""

import asyncio
import os
import sys
from pathlib import Path

from tests.documents.operator import settings
from tests.documents.page import ROOT, Page
from tests.documents.shell import printed
from tests.documents.words import assert_shown
from tests.integration.world import WHATSAPP_TOKEN, whole_world


class Agent:
    """The agent of a reader's own bot."""

    def __init__(self, *_: object) -> None:
        self.said: list[str] = []

    def reply(self, text: str) -> str:
        self.said.append(text)
        return " ".join(self.said)


async def test_the_page(tmp_path: Path) -> None:
    with Page("docs/how-to/from-a-dict-of-kernels.md") as page:
        bot = {"Agent": Agent, "PROMPT": "", "TOOLS": []}
        exec(page.take("python"), bot)  # noqa: S102 - a page of ours
        assert callable(on_message := bot["on_message"])
        assert [on_message("Sam", "mine"), on_message("Sam", "yours")] == ["mine", "mine yours"], "two people"
        tokens = settings(page.take("ini"))["kernel_channel_tokens"]
        for name, language in (("kernels.py", "python"), ("facts.json", "json"), ("move.py", "python")):
            (tmp_path / name).write_text(page.take(language))
        async with whole_world(tmp_path, kernel_channel_tokens=f"whatsapp={WHATSAPP_TOKEN},{tokens}") as world:
            environment = {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos' / 'gen'}",
                "KERNEL_ADDRESS": world.kernel_address,
            }
            move, shown = page.take("sh"), page.take("text")
            assert_shown(shown, await asyncio.to_thread(printed, move, tmp_path, environment))
            asked = len(world.emulators.openai.requests)
            assert_shown(shown, await asyncio.to_thread(printed, move, tmp_path, environment))
            assert len(world.emulators.openai.requests) == asked, "the second run asks nothing again"
            known = await world.tell("telegram:42", "what do you know about me?", "m", tokens.partition("=")[2])
            assert "I like tea" in known.replies[0].text
