"""Planner statistics, set at start: the planner must not overlook the indexes that statements need."""

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
    """Replace PostgreSQL's planner statistics. They contain column values, and no earlier value may remain.

    The sample is a few rows, so this is quick. Autovacuum soon samples more.
    """
    tx.execute(text("SET LOCAL default_statistics_target = 1"))
    for columns in _OVERWRITTEN:
        tx.execute(text(f"ANALYZE {columns}"))


def settle(connection: Connection) -> None:
    """Runs in the transaction that migrates."""
    if connection.dialect.name == "sqlite":
        _drop(connection)
    else:
        _analyze(connection)


def _drop(connection: Connection) -> None:
    """Without statistics SQLite uses the small partial indexes. An ANALYZE while few rows match would hide them."""
    for table in _SQLITE_TABLES:
        connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def _analyze(connection: Connection) -> None:
    """A restored PostgreSQL has no statistics until autovacuum runs, and scans whole tables until then."""
    for name in connection.execute(_NOT_ANALYZED, {"names": list(metadata.tables)}).scalars().all():
        connection.execute(text(f'ANALYZE "{name}"'))
