"""An operator rotates the master key of running services, as in the README, and with a kill -9 in the middle."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest
from sqlalchemy import create_engine, insert, select

from kernel_service.storage.engine.engine import DataKey, unwrap_data_key, wrap_data_key
from kernel_service.storage.opening.open_store import open_store
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import MasterKeys, WrappedKey
from tests.ports import free_port

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

SECONDS = 60
PEOPLE = 5_000
ADMIN = "admin-token-of-the-tests"
OLD, NEW = (f"{name}:{base64.b64encode(name.encode() * 16).decode()}" for name in ("k1", "k2"))


class Kernel:
    """A kernel service on SQLite, and the operator's command for it."""

    def __init__(self, folder: Path, database_folder: Path | None = None) -> None:
        self.url = f"sqlite:///{database_folder or folder}/kernel.db"
        self._log = folder / "kernel.log"
        self._address, self._metrics, connect = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KERNEL_LISTEN": self._address,
            "KERNEL_METRICS_LISTEN": self._metrics,
            "CONNECT_LISTEN": connect,
            "KERNEL_DATABASE_URL": self.url,
            "KERNEL_CHANNEL_TOKENS": "telegram=telegram-token-of-the-tests",
            "KERNEL_ADMIN_TOKEN": ADMIN,
            "OPENAI_API_KEY": "sk-nobody",
            "COMPOSIO_API_KEY": "ak_nobody",
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
            "COMPOSIO_BASE_URL": "http://127.0.0.1:9",
        }

    @asynccontextmanager
    async def running(self, *keys: str) -> AsyncIterator[Process]:
        process = await self.start(*keys)
        try:
            await self._ready(process)
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def start(self, *keys: str) -> Process:
        environment = self._environment | {"KERNEL_ENCRYPTION_KEYS": ",".join(keys)}
        command = (sys.executable, "-m", "kernel_service")
        with self._log.open("wb") as log:
            return await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)

    async def _ready(self, process: Process) -> None:
        async with aiohttp.ClientSession() as http, asyncio.timeout(SECONDS):
            while not await _answers(http, f"http://{self._metrics}/healthz"):
                assert process.returncode is None, self.log()
                await asyncio.sleep(0.05)

    async def ctl(self, *words: str) -> Process:
        command = (
            sys.executable,
            "-c",
            "from kernelctl.kernelctl import main; main()",
            "--address",
            self._address,
            "--token",
            ADMIN,
        )
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command, *words, env=self._environment, stdout=pipe, stderr=pipe
        )  # fmt: skip

    async def told(self, *words: str) -> str:
        process = await self.ctl(*words)
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        return out.decode()

    def log(self) -> str:
        return self._log.read_text()


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.ok
    except aiohttp.ClientError:
        return False


@pytest.fixture
async def kernel(tmp_path: Path) -> Kernel:
    """A service with many people, whose keys are sealed by the old key."""
    made, keys = Kernel(tmp_path), MasterKeys.parse(OLD)
    store = await open_store(made.url, keys)
    people = [f"p_{number:05}" for number in range(PEOPLE)]
    rows = [{"id": who, "created_at": 1.0, **wrap_data_key(keys, who, who.encode().ljust(32))} for who in people]
    await store.engine.write(lambda tx: tx.execute(insert(schema.person), rows))
    await store.close()
    return made


async def test_the_old_key_goes_though_the_service_is_killed_meanwhile(kernel: Kernel) -> None:
    async with kernel.running(NEW, OLD) as process:
        told = await kernel.told("keys")
        assert [line.split()[:2] for line in told.splitlines()[1:3]] == [["k2", "current"], ["k1", "in"]]
        assert f"{PEOPLE:,}" in told
        rotating = await kernel.ctl("rotate")
        assert rotating.stderr is not None
        while b"501 keys" not in (line := await rotating.stderr.readline()):
            assert line, "it went by"
        process.kill()
        assert await rotating.wait() == 1
        assert b"UNAVAILABLE" in await rotating.stderr.read()

    refused = await kernel.start(NEW)
    assert await refused.wait() == 2
    assert "lacks the key 'k1'" in kernel.log()
    assert "kernelctl rotate" in kernel.log()

    async with kernel.running(NEW, OLD):
        both = await asyncio.gather(kernel.told("rotate"), kernel.told("rotate"))
        assert all("May be removed from KERNEL_ENCRYPTION_KEYS now: k1" in each for each in both)
        assert "k1   may be removed" in await kernel.told("keys")

    async with kernel.running(NEW):
        assert (await kernel.told("keys")).splitlines()[1].split() == ["k2", "current", f"{PEOPLE:,}", "1", "0"]
    assert _keys(kernel.url) == {f"p_{number:05}".encode().ljust(32) for number in range(PEOPLE)}


def _keys(url: str) -> set[bytes]:
    with create_engine(url).connect() as database:
        people = database.execute(select(schema.person)).all()
    master = MasterKeys.parse(NEW)
    return {unwrap_data_key(master, row.id, DataKey(WrappedKey(row.key_id, row.data_key), row.bound)) for row in people}
