"""Inspects the database of the settings without a change: whether it is reached, its schema, and the keys it needs.

For `kernelctl doctor`, also beside a running service: it takes no lock, and opens a SQLite file read-only.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from kernel_service.errors import Unreadable
from kernel_service.storage.engine.database_url import is_sqlite
from kernel_service.storage.keys import shared_secrets, wraps
from kernel_service.storage.nodes import schema_guard
from kernel_service.storage.opening.migrating import SCHEMA_NUMBER
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import MasterKeys

if TYPE_CHECKING:
    from sqlalchemy import Connection

_RIGHTS: Final = text(
    "SELECT current_schema() IS NOT NULL AND has_schema_privilege(current_schema(), 'USAGE, CREATE'),"
    " current_setting('transaction_read_only') = 'off'"
)


@dataclass(frozen=True, slots=True)
class DatabaseInspection:
    """`file` is SQLite's, None for PostgreSQL. `problem`: why it cannot be used; "": it can.

    `schema` is its newest migration, 0 for an empty database. `key_problem`: why the keys do not open what is stored.
    """

    file: Path | None
    problem: str = ""
    schema: int = 0
    oldest_reader: int = 0
    key_problem: str = ""
    program_schema: int = SCHEMA_NUMBER


async def inspect_database(url: str, keys: str) -> DatabaseInspection:
    """`url` and `keys` in the forms of the settings. Raises ValueError for another form."""
    master_keys = MasterKeys.parse(keys)
    if is_sqlite(url):
        return await asyncio.to_thread(_inspect_file, Path(make_url(url).database or ""), master_keys)
    return await _inspect_server(url, master_keys)


def _inspect_file(path: Path, master_keys: MasterKeys) -> DatabaseInspection:
    if not path.exists():
        return DatabaseInspection(path)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)

    database = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    try:
        with database.connect() as connection:
            return replace(_read(connection, master_keys), file=path)
    except SQLAlchemyError as problem:
        return DatabaseInspection(path, problem=str(getattr(problem, "orig", None) or type(problem).__name__))
    finally:
        database.dispose()


async def _inspect_server(url: str, master_keys: MasterKeys) -> DatabaseInspection:
    # PostgreSQL's driver is loaded only if it is needed.
    from kernel_service.storage.engine import pooler, postgres_connections  # noqa: PLC0415
    from kernel_service.storage.engine.postgres_server import LOST, Server, why  # noqa: PLC0415
    from kernel_service.storage.engine.postgres_url import parse  # noqa: PLC0415

    server = Server(parse(url))
    try:
        multiplexed = await pooler.session_kind(server) is pooler.SessionKind.PER_TRANSACTION
        database = postgres_connections.connect_once(replace(server, multiplexed=multiplexed))
        async with database.connect() as connection:
            may_create, is_writable = (await connection.execute(_RIGHTS)).one()
            if not is_writable:
                return DatabaseInspection(None, problem="the server is read-only")
            if not may_create:
                return DatabaseInspection(None, problem="its user may not create tables in its schema")
            return await connection.run_sync(_read, master_keys)
    except (SQLAlchemyError, *LOST) as problem:
        return DatabaseInspection(None, problem=why(problem))


def _read(connection: Connection, master_keys: MasterKeys) -> DatabaseInspection:
    if not inspect(connection).has_table(schema.schema_version.name):
        return DatabaseInspection(None)
    number, oldest_reader = schema_guard.version(connection)
    found = DatabaseInspection(None, schema=number, oldest_reader=oldest_reader)
    if number != SCHEMA_NUMBER:  # the tables of the keys may have another form
        return found
    try:
        wraps.check(connection, master_keys)
        shared_secrets.check_digest_key(connection, master_keys)
    except Unreadable as problem:
        return replace(found, key_problem=problem.sentence)
    return found
