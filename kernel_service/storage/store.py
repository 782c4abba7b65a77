"""Open the store of a database URL: be the only one on it, migrate it, read its keys, start its writers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.media.opening import MIB
from kernel_service.storage import batch
from kernel_service.storage.sql_store import SqlStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_service.storage.sealing import MasterKeys


async def open_store(
    url: str,
    master_keys: MasterKeys,
    *,
    media_bytes: int = 1024 * MIB,
    end_process: Callable[[str], None] = batch.end_process,
) -> SqlStore:
    """`sqlite:///path` or `postgresql://…`; on PostgreSQL this waits while another process is active.
    At most `media_bytes` of people's files are kept at a time.

    DatabaseInUseError, SchemaTooNewError, Conflict SEALING_KEY_UNKNOWN, StoreUnavailable, ValueError for another URL.
    """
    # Each brings a driver of its own, and PostgreSQL's costs 10 MB that nobody on SQLite need carry.
    kind = url.partition("://")[0]
    if kind == "sqlite":
        from kernel_service.storage.opening_sqlite import open_sqlite  # noqa: PLC0415

        return SqlStore(await open_sqlite(url, master_keys, end_process), media_bytes)
    if kind in {"postgresql", "postgres"}:
        from kernel_service.storage.opening_postgres import open_postgres  # noqa: PLC0415

        return SqlStore(await open_postgres(url, master_keys, end_process), media_bytes)
    raise ValueError("the database URL must begin with sqlite:/// or postgresql://")
