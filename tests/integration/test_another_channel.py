"""The channel of docs/how-to/another-channel.md is a channel."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emulators.openai.turns import ToolCall
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from tests.integration.world import World

PAGE = Path(__file__).parents[2] / "docs/how-to/another-channel.md"
TOKEN = "terminal-token-of-the-tests"
TOKENS = f"whatsapp=whatsapp-token-of-the-tests,terminal={TOKEN}"


async def client(world: World) -> asyncio.subprocess.Process:
    example = re.search(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    assert example
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-uc",
        example[1].replace("127.0.0.1:50051", world.kernel_address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TERMINAL_TOKEN": TOKEN, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


async def test_the_example_holds_a_conversation(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        process = await client(world)
        said, _ = await process.communicate(b"my name is Ada\n\nwhat is my name\nconnect my asana\n")
    assert "Your name is Ada." in said.decode()
    assert "`payload.text` is required" in said.decode(), (
        "an empty line is refused permanently, and the conversation continues"
    )
    assert re.search(r"\[Connect Asana\] http://\S+/connect/", said.decode())


async def test_a_button_is_tapped_by_its_title(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS, kernel_approve_tools="disconnect") as world:
        world.emulators.openai.script([ToolCall("disconnect", {"toolkit": "asana"}), "May I?"])
        process = await client(world)
        said, _ = await process.communicate(b"disconnect asana\nRefuse\n")
    assert said.decode().endswith("[Approve]\n[Refuse]\nAll right, I didn't do it.\n")


async def test_a_client_that_waits_says_why(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world:  # its token is not known here, and may become so
        process = await client(world)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"hello\n")
        said = await process.stdout.readline()
        process.kill()
        await process.wait()
    assert said.startswith(b"this token is not known here")
