"""The example of a streaming terminal, as a separate process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emulators.openai.turns import Text, ToolCall
from tests.integration.world import whole_world

if TYPE_CHECKING:
    from tests.integration.world import World

EXAMPLE = Path(__file__).parents[2] / "docs/examples/terminal.py"
TOKEN = "terminal-token-of-the-tests"
TOKENS = f"whatsapp=whatsapp-token-of-the-tests,terminal={TOKEN}"
STORY = "Once upon a time there was a kernel that told every word as it came."


async def terminal(world: World) -> asyncio.subprocess.Process:
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
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **settings},
    )


async def test_words_are_printed_while_the_model_speaks(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        world.emulators.openai.script([STORY])
        stall = world.emulators.openai.stall("Once upon")
        process = await terminal(world)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"a story\n")
        printed = await process.stdout.readexactly(len("Once upon"))
        stall.release()
        rest, _ = await process.communicate(b"")
        assert (printed + rest).decode() == f"{STORY}\n"


async def test_words_before_a_tool_are_taken_back_and_buttons_shown(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        call = ToolCall("connect", {"toolkit": "asana"})
        world.emulators.openai.script([[Text("Let me look."), call], "Tap the button."])
        process = await terminal(world)
        printed, _ = await process.communicate(b"connect my asana\n")
        lines = [line.rpartition("\x1b[K")[2] for line in printed.decode().split("\n")]
        assert lines[:2] == ["[connect …]", "Tap the button."]
        assert any(line.startswith("[Connect Asana] http") for line in lines)


async def test_a_kernel_that_restarts_in_mid_sentence_is_asked_again(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS) as world:
        world.emulators.openai.script([STORY, "After the restart."])
        world.emulators.openai.stall("Once upon")
        process = await terminal(world)
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"a story\n")
        await process.stdout.readexactly(len("Once upon"))
        await world.stop_kernel()
        await world.start_kernel()
        printed, _ = await process.communicate(b"")
        assert process.returncode == 0
        assert printed.decode().rpartition("\x1b[K")[2] == "After the restart.\n"


async def test_a_message_that_is_refused_says_why(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS, kernel_allowed_users="whatsapp:*") as world:
        process = await terminal(world)
        printed, _ = await process.communicate(b"hello\n")
        assert process.returncode == 0
        assert "this user is not on the operator's allow-list" in printed.decode()
        assert "KERNEL_ALLOWED_USERS" in printed.decode()


async def test_a_button_is_tapped_by_its_title(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_channel_tokens=TOKENS, kernel_approve_tools="disconnect") as world:
        world.emulators.openai.script([ToolCall("disconnect", {"toolkit": "asana"}), "May I?"])
        process = await terminal(world)
        printed, _ = await process.communicate(b"disconnect asana\n\nRefuse\n")
    question, _, answer = printed.decode().partition("[Refuse]\n")
    assert "toolkit: asana" in question
    assert answer == "All right, I didn't do it.\n"


async def test_a_wrong_token_is_named_at_once(tmp_path: Path) -> None:
    async with whole_world(tmp_path) as world:  # with the token of another channel alone
        process = await terminal(world)
        printed, _ = await process.communicate(b"hello\n")
    assert process.returncode == 0
    assert b"this token is not known here" in printed
    assert b"KERNEL_CHANNEL_TOKENS" in printed
