"""The example of a channel over one stream, as a separate process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emulators.openai.turns import ToolCall
from tests.integration.test_terminal_example import TOKEN, TOKENS
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from tests.integration.world import World

EXAMPLE = Path(__file__).parents[2] / "docs/examples/channel.py"


async def channel(world: World) -> asyncio.subprocess.Process:
    settings = {
        "TERMINAL_TOKEN": TOKEN,
        "KERNEL_ADDRESS": world.kernel_address,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        EXAMPLE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **settings},
    )


async def test_answers_are_printed_once_also_after_a_restart_of_the_service(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        world.emulators.openai.script(["First answer.", "Second answer."])
        process = await channel(world)
        assert process.stdin
        assert process.stdout
        async with asyncio.timeout(60):
            process.stdin.write(b"one\n")
            assert await process.stdout.readline() == b"First answer.\n"
            await world.stop_kernel()
            process.stdin.write(b"two\n")
            await world.start_kernel()
            assert await process.stdout.readline() == b"Second answer.\n"
            rest, _ = await process.communicate(b"")
        assert rest == b""
        assert process.returncode == 0


async def test_a_link_is_printed(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        world.emulators.openai.script([ToolCall("connect", {"toolkit": "asana"}), "Tap the button."])
        process = await channel(world)
        assert process.stdin
        assert process.stdout
        async with asyncio.timeout(60):
            process.stdin.write(b"connect my asana\n")
            assert await process.stdout.readline() == b"Tap the button.\n"
            assert (await process.stdout.readline()).startswith(b"[Connect Asana] http")
            await process.communicate(b"")
