"""The processes that `make run` starts, in an empty directory without any key."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.phones import phones
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LISTENS = ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN", "GATEWAY_LISTEN", "EMULATORS_LISTEN")


@asynccontextmanager
async def local_run(directory: Path, listens: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A local run that is ready."""
    environment = {**os.environ, **listens, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos' / 'gen'}"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.run"), cwd=directory, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        async with asyncio.timeout(120):
            seen = await process.stdout.readuntil(b"Ready. ")
        assert seen.count(b"EMULATOR replaces") == 3
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def test_a_message_is_answered_and_a_second_run_resumes_the_chat(tmp_path: Path) -> None:
    listens = {name: f"127.0.0.1:{free_port()}" for name in LISTENS}
    url = f"http://{listens['EMULATORS_LISTEN']}"
    async with local_run(tmp_path, listens) as first, phones(url) as people:
        alice = await people.add("Alice")
        assert "hello" in await people.ask(alice, "hello")
    assert first.returncode == 0
    async with local_run(tmp_path, listens) as second, phones(url) as people:
        assert await people.add("Alice") == alice
        assert "message 2 of our chat" in await people.ask(alice, "hello again")
    assert second.returncode == 0
