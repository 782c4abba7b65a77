"""The database is full, locked or gone: nothing acknowledged is lost, the fault is logged once, and work resumes."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from kernel_service.storage.engine import sqlite
from tests.crash.databases import server
from tests.integration.world import whole_world
from tests.line import line_to
from tests.replicated_postgres import replicated_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.integration.world import World
    from tests.line import Line
    from tests.replicated_postgres import Pair

PAGE = 4096
LINES_OF_A_FAULT = 6
"""The writers, the readers and the connection for notices each log the beginning and the end of the fault."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def postgres_of_its_own(tmp_path: Path) -> Iterator[str]:
    with server("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def pair() -> Iterator[Pair]:
    with replicated_pair() as running:
        yield running


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill all remaining space."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(PAGE)) == PAGE:
                pass
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds a write transaction open."""
    intruder = sqlite.connect(path)
    with intruder.connect() as connection, connection.execution_options(immediate=True).begin():
        yield
    intruder.dispose()


@contextmanager
def gone(line: Line) -> Iterator[None]:
    """The server does not answer, and all its connections are cut."""
    line.down = True
    line.break_all()
    yield
    line.down = False


async def survives(world: World, fault: AbstractContextManager[None], log: pytest.LogCaptureFixture) -> None:
    """All are answered before and after the fault. Messages during it are answered once, as soon as it is over."""
    phones = [world.phone(f"p{number}") for number in range(3)]
    for phone in phones:
        await world.ask(phone, "before")
    refused = asyncio.Event()

    def note_refusal(_: int) -> float:
        refused.set()
        return 0.2

    world.emulators.whatsapp.webhooks.backoff = note_refusal
    log.clear()
    with fault:
        for phone in phones:
            phone.write(f"during {phone.label}")
        await asyncio.wait_for(refused.wait(), 30)
    for phone in phones:
        answer = await phone.wait_for_message(timeout=40)
        assert f"during {phone.label}" in answer.text
        assert "after" in (await world.ask(phone, "after")).text
        assert len(phone.received) == 3
    named = [record for record in log.records if record.name.startswith("kernel_service.storage")]
    assert 1 <= len([record for record in named if record.levelno >= logging.WARNING]) <= LINES_OF_A_FAULT


async def test_a_full_disk(small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{small_disk}/kernel.db"
    async with whole_world(tmp_path, kernel_database_url=url) as world:
        await survives(world, full(small_disk), caplog)


async def test_a_database_that_another_program_has_locked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, "PRAGMA busy_timeout = 100"))
    async with whole_world(tmp_path) as world:
        await survives(world, locked(tmp_path / "kernel.db"), caplog)


async def test_a_server_that_is_gone(
    postgres_of_its_own: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with line_to(postgres_of_its_own) as (line, url), whole_world(tmp_path, kernel_database_url=url) as world:
        await survives(world, gone(line), caplog)


async def test_a_standby_that_takes_over(pair: Pair, tmp_path: Path) -> None:
    """The primary is killed while people write, and its standby promoted. Each is answered once."""
    async with whole_world(tmp_path, kernel_database_url=pair.url) as world:
        world.emulators.whatsapp.webhooks.backoff = lambda _: 0.2
        phones = [world.phone(f"p{number}") for number in range(3)]
        for phone in phones:
            await world.ask(phone, "before")
        for phone in phones:
            phone.write(f"during {phone.label}")
        await pair.fail_over()
        for phone in phones:
            assert f"during {phone.label}" in (await phone.wait_for_message(timeout=40)).text
            assert "after" in (await world.ask(phone, "after")).text
            assert len(phone.received) == 3
