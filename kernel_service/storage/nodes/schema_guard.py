"""Detects incompatible programs and schemas: a node too old for the schema, a schema too new for the running nodes.

A migration and a joining node exclude each other by a lock. So either the migration sees the node, or the node sees the
schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, select, text

from kernel_service.ports.nodes import LAPSE_SECONDS
from kernel_service.storage.schema.service import node, schema_version
from kernel_service.storage.schema.times import DatabaseTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import BindParameter, Connection, Row

    from kernel_service.storage.engine.engine import Tx

_LOCK: Final = 0x6D696772617465  # "migrate"
LOCK = text(f"SELECT pg_advisory_xact_lock({_LOCK})")
"""For the process that migrates."""
_JOINS = text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
_MOST_NAMED = 5

# Before this schema one process was active. It held this lock, and had no row.
_FIRST_NODES = 27
_ACTIVE = text(f"SELECT pg_try_advisory_xact_lock({0x6B65726E656C})")

_oldest: BindParameter[int] = bindparam("oldest")
_OLDER = (
    select(node.c.id, node.c.address, node.c.schema, (node.c.beat_at > DatabaseTime() - LAPSE_SECONDS).label("is_live"))
    .where(node.c.schema < _oldest)
    .order_by(node.c.id)
)
_REMOVE = delete(node).where(node.c.schema < _oldest)
_WAIT = select(func.pg_sleep(LAPSE_SECONDS))
_NEWEST = select(schema_version).order_by(schema_version.c.number.desc()).limit(1)


class SchemaTooNewError(RuntimeError):
    """A newer program, with which this one is not compatible, has migrated the database."""


class OlderNodesError(RuntimeError):
    """Running processes could not use the schema after the migration. The text names them, and the remedy."""


def version(connection: Connection | Tx) -> tuple[int, int]:
    """The newest migration's number, and the number of the oldest program that can use it."""
    row = connection.execute(_NEWEST).one()
    return row.number, row.oldest_reader


def check_program(schema: int, stored: tuple[int, int]) -> None:
    """Whether a program that contains the migrations up to `schema` can use `stored`. Raises `SchemaTooNewError`."""
    number, oldest_reader = stored
    if oldest_reader > schema:
        raise SchemaTooNewError(
            f"the database has schema {number}, which needs a program of schema {oldest_reader} or later;"
            f" this one is of schema {schema}: upgrade it"
        )


def check_joining(tx: Tx, schema: int) -> None:
    """A newer program may have migrated the database since this one started. Raises `SchemaTooNewError`."""
    if tx.connection.dialect.name == "postgresql":
        tx.execute(_JOINS)
    check_program(schema, version(tx))


def check_nodes(connection: Connection, number: int, *, to: int, oldest_reader: int) -> None:
    """Before a migration of a shared database from `number` to `to`. Raises `OlderNodesError`.

    The row of a node without a heartbeat is deleted, so that the node ends if it resumes. The check first waits for one
    heartbeat, since the database itself may have been unavailable.
    """
    if number < _FIRST_NODES:
        if not connection.execute(_ACTIVE).scalar_one():
            raise OlderNodesError(
                f"a process of an earlier release uses the database (schema {number}), which this one would migrate to"
                f" schema {to}: end it and those that wait for it, then start this one again"
            )
        return
    older = _older(connection, oldest_reader)
    if older and not any(each.is_live for each in older):
        connection.execute(_WAIT)
        older = _older(connection, oldest_reader)
    live = [f"{each.id} ({each.address}, schema {each.schema})" for each in older if each.is_live]
    if live:
        named = ", ".join(live[:_MOST_NAMED]) + (f" and {len(live) - _MOST_NAMED} more" if live[_MOST_NAMED:] else "")
        raise OlderNodesError(
            f"this program would migrate the database from schema {number} to {to}, which needs programs of schema"
            f" {oldest_reader} or later, and older ones are running: {named}. End them, then start this one again"
        )
    if older:
        connection.execute(_REMOVE, {"oldest": oldest_reader})


def _older(connection: Connection, oldest_reader: int) -> Sequence[Row[Any]]:
    return connection.execute(_OLDER, {"oldest": oldest_reader}).all()
