"""The README's channel is a channel."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.integration.world import whole_world

README = Path(__file__).parents[2] / "README.md"
TOKEN = "terminal-token-of-the-tests"


async def test_the_example_holds_a_conversation(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.+?)```", README.read_text(), re.DOTALL)
    assert example
    tokens = f"whatsapp=whatsapp-token-of-the-tests,terminal={TOKEN}"
    async with whole_world(tmp_path, kernel_channel_tokens=tokens) as world:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            example[1].replace("127.0.0.1:50051", world.kernel_address),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, "TERMINAL_TOKEN": TOKEN, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        said, _ = await process.communicate(b"my name is Ada\n\nwhat is my name\nconnect my asana\n")
    assert "Your name is Ada." in said.decode()
    assert "`payload.text` is required" in said.decode(), (
        "an empty line is refused permanently, and the conversation continues"
    )
    assert re.search(r"\[Connect Asana\] http://\S+/connect/", said.decode())
