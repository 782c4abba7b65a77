"""A folder that looks like a clone after the first `make run`, in which commands of a page run as in a terminal."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.documents.page import ROOT
from tests.ports import free_port

_OF_A_READER = {".git", ".venv", ".env", "var", "build", "dist"}
_LISTENS = {
    "GATEWAY_LISTEN": "127.0.0.1:8080",
    "CONNECT_LISTEN": "127.0.0.1:8081",
    "EMULATORS_LISTEN": "127.0.0.1:8090",
    "KERNEL_METRICS_LISTEN": "127.0.0.1:9464",
    "KERNEL_LISTEN": "127.0.0.1:50051",
}
_READY_SECONDS = 120


class Checkout:
    """`environment` is that of the reader's shell. It gives the services free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in ROOT.iterdir():
            if path.name not in _OF_A_READER:
                (folder / path.name).symlink_to(path)
        (folder / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            if path.name in {"bin", "lib", "lib64", "pyvenv.cfg"}:
                (folder / ".venv" / path.name).symlink_to(path)
        # Newer than the locks: `make` has nothing to install.
        (folder / ".venv" / "runtime").touch()
        self._ports = {name: f"127.0.0.1:{free_port()}" for name in _LISTENS}
        paths = os.pathsep.join([str(folder), str(folder / "protos" / "gen")])
        self.environment = {**os.environ, **self._ports, "PYTHONPATH": paths}

    def here(self, text: str) -> str:
        """A text of a page, with the addresses of this checkout."""
        for name, address in _LISTENS.items():
            text = text.replace(address, self._ports[name])
        return text

    @asynccontextmanager
    async def serving(self, command: str) -> AsyncIterator[str]:
        """Run a command until Ctrl-C, as `make run`. Yields its line that begins with "Ready."."""
        process = await asyncio.create_subprocess_shell(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            process_group=0,
        )
        assert process.stdout
        printed: list[str] = []
        try:
            async with asyncio.timeout(_READY_SECONDS):
                async for line in process.stdout:
                    printed.append(line.decode())
                    if printed[-1].startswith("Ready."):
                        break
            assert printed[-1].startswith("Ready."), "".join(printed)
            yield printed[-1]
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGINT)
            await process.communicate()
