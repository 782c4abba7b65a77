"""A PostgreSQL primary with a synchronous standby, both on this machine, from the system's package."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.ports import free_port
from tests.postgres_servers import as_user, folder_of, system_binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

USER: Final = "postgres"


class Server:
    """`url` connects to it by TCP."""

    def __init__(self, binaries: Path, data: Path) -> None:
        self._binaries, self._data = binaries, data
        self.port = free_port()
        self.url = f"postgresql://{USER}@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self._run("initdb", "-A", "trust", "-N", "-U", USER, "-D", self._data)

    def copy(self, primary: Server) -> None:
        """Become a standby of it."""
        self._run("pg_basebackup", "-R", "--checkpoint=fast", "-N", "-d", primary.url, "-D", self._data)

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self._data.parent} -c fsync=off"
        self._control("-w", "-o", options, "-l", self._data / "log", "start")

    def commit_on_standby_first(self) -> None:
        """As docs/how-to/postgresql.md advises. `synchronous_commit` is on by default."""
        for command in ("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"):
            self._run("psql", "-q", "-d", self.url, "-c", command)

    def promote(self) -> None:
        self._control("-w", "promote")

    def kill(self) -> None:
        """With -9, every process of it, as when its machine loses power."""
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in (main, *map(int, children)):
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        self._control("-m", "immediate", "stop", check=False)  # it may be dead

    def _control(self, *arguments: str | Path, check: bool = True) -> None:
        self._run("pg_ctl", "-D", self._data, *arguments, check=check)

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        command = [*as_user(USER), self._binaries / program, *arguments]
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=check, stdin=quiet, stdout=quiet, stderr=quiet)


class Pair:
    """`primary` fails over to `standby` once. `url` names both."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (primary, standby))
        self.url = f"postgresql://{USER}@{hosts}/postgres"

    async def fail_over(self) -> None:
        self.primary.kill()
        await asyncio.to_thread(self.standby.promote)


@contextmanager
def replicated_pair() -> Iterator[Pair]:
    """Every commit is on both servers before it is answered. Call outside of any event loop."""
    binaries = system_binaries()
    with folder_of(USER) as folder:
        primary, standby = (Server(binaries, folder / name) for name in ("one", "two"))
        try:
            primary.create()
            primary.start()
            standby.copy(primary)
            standby.start()
            primary.commit_on_standby_first()
            yield Pair(primary, standby)
        finally:
            for server in (primary, standby):
                server.stop()
