"""A local run in another process, with all three vendors emulated, and a venv with the project's wheel for it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LISTENS = ("KERNEL_LISTEN", "KERNEL_METRICS_LISTEN", "CONNECT_LISTEN", "GATEWAY_LISTEN", "EMULATORS_LISTEN")


def free_listens() -> dict[str, str]:
    """Addresses for the settings of each listener."""
    return {name: f"127.0.0.1:{free_port()}" for name in _LISTENS}


def installed() -> dict[str, str]:
    """The environment in which none of the checkout's packages are found."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def make_venv(venv: Path, wheel: Path) -> Path:
    """The commands of a new venv: the wheel, and this environment's packages for what it requires."""
    for command in (
        (sys.executable, "-m", "venv", "--without-pip", venv),
        (sys.executable, "-m", "pip", "--python", venv, "install", "--quiet", "--no-deps", "--no-index", wheel),
    ):
        subprocess.run(command, check=True, env=installed())
    packages = sysconfig.get_path("purelib", vars={"base": str(venv)})
    # Only a path: the .pth files there, among them that of the editable install, are not read.
    Path(packages, "environment.pth").write_text(sysconfig.get_path("purelib"))
    return venv / "bin"


@asynccontextmanager
async def local_run(
    directory: Path, environment: dict[str, str], *command: str | Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A local run that is ready."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, env=environment, stdout=asyncio.subprocess.PIPE
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
