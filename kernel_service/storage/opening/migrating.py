"""Upgrade a database's schema to this program's, once even if several processes start together, and read its first
secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text
from sqlalchemy.schema import CreateIndex, CreateTable

from kernel_service.storage.engine import statistics
from kernel_service.storage.keys import clear_ids, shared_secrets, wraps
from kernel_service.storage.nodes import schema_guard
from kernel_service.storage.schema import schema
from kernel_service.storage.sealing.ciphers import Digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Index

    from kernel_service.storage.sealing.ciphers import MasterKeys

# The number of the newest migration that this program contains.
SCHEMA_NUMBER = 36
# The oldest program that can use the schema of that migration.
OLDEST_READER = 36
# The wait for another process that migrates is unlimited. A frozen one loses its transaction.
_UNHURRIED = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),"
    " set_config('idle_in_transaction_session_timeout', '10s', true)"
)
# While this process waits for a table, every later statement on that table waits as well.
_HURRIED = text("SELECT set_config('lock_timeout', '1s', true)")


def prepare(connection: Connection, master_keys: MasterKeys) -> Digests:
    """Migrate and open the digest key, in the connection's transaction (on SQLite begun IMMEDIATE).

    Raises `SchemaTooNewError`, `OlderNodesError`, `SealingKeyUnknown`.
    """
    if connection.dialect.name == "postgresql":
        for statement in (_UNHURRIED, schema_guard.LOCK, _HURRIED):
            connection.execute(statement)
    migrate(connection)
    statistics.settle(connection)
    wraps.check(connection, master_keys)
    key = shared_secrets.digest_key(connection, master_keys)
    return Digests(key, some_in_clear=clear_ids.are_left(connection))


def migrate(connection: Connection) -> None:
    if not inspect(connection).has_table(schema.schema_version.name):
        create(connection)
        return
    number, oldest_reader = schema_guard.version(connection)
    schema_guard.check_program(SCHEMA_NUMBER, (number, oldest_reader))
    if number < SCHEMA_NUMBER:
        if connection.dialect.name == "postgresql":
            schema_guard.check_nodes(connection, number, to=SCHEMA_NUMBER, oldest_reader=OLDEST_READER)
        upgrade(connection)


def create(connection: Connection) -> None:
    """Create the newest schema in an empty database at once, marked as migrated.

    Importing Alembic takes 0.2 s, and 10 MB for the life of the process. A start without an upgrade avoids it.
    """
    for table in schema.metadata.sorted_tables:
        connection.execute(CreateTable(table))
    # SQLite prefers the newest of the applicable indexes, so partial indexes are created last.
    for index in sorted(_indexes(), key=lambda index: (_is_partial(index), index.name)):
        connection.execute(CreateIndex(index))
    version = Table("alembic_version", MetaData(), Column("version_num", String(32), nullable=False))
    version.append_constraint(PrimaryKeyConstraint("version_num", name="alembic_version_pkc"))
    version.create(connection)
    connection.execute(insert(version).values(version_num=f"{SCHEMA_NUMBER:04}"))
    newest = {"number": SCHEMA_NUMBER, "oldest_reader": OLDEST_READER}
    connection.execute(insert(schema.schema_version).values(newest))


def _indexes() -> Iterator[Index]:
    for table in schema.metadata.sorted_tables:
        yield from table.indexes


def _is_partial(index: Index) -> bool:
    return index.dialect_options["sqlite"]["where"] is not None


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the missing migrations. From an empty database they make the same schema as `create`."""
    from alembic import command  # noqa: PLC0415 - see `create`
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[1] / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
