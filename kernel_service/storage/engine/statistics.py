"""What the database's planner goes by, made certain at start: statements have indexes that it must not overlook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import text

from kernel_service.storage.schema.schema import metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kernel_service.storage.engine.engine import Tx

_SQLITE_TABLES: Final = ("sqlite_stat1", "sqlite_stat4")
_OVERWRITTEN: Final = (
    "message (message_id)",
    "reply (answers_message_id)",
    "reply_part (channel_message_id)",
    "dead_letter (message_id)",
)
_NOT_ANALYZED = text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relname = ANY (CAST(:names AS text[])) AND pg_relation_size(c.oid) > 0"
    " AND NOT EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)"
)


def renew(tx: Tx) -> None:
    """What PostgreSQL's planner goes by are values of the columns: none of those from before is left.

    Of a few rows, so that it takes no time; autovacuum soon looks at more.
    """
    tx.execute(text("SET LOCAL default_statistics_target = 1"))
    for columns in _OVERWRITTEN:
        tx.execute(text(f"ANALYZE {columns}"))


def settle(connection: Connection) -> None:
    """In the transaction that migrates."""
    if connection.dialect.name == "sqlite":
        _forget(connection)
    else:
        _gather(connection)


def _forget(connection: Connection) -> None:
    """Without statistics SQLite takes the small indexes of what is open; an ANALYZE on a quiet day hides them."""
    for table in _SQLITE_TABLES:
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def _gather(connection: Connection) -> None:
    """A restored PostgreSQL has none until autovacuum has come by, and walks over tables meanwhile."""
    for name in connection.execute(_NOT_ANALYZED, {"names": list(metadata.tables)}).scalars().all():
        connection.execute(text(f'ANALYZE "{name}"'))
