"""Moves sealed values to another place: to another person, or to another number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Integer, bindparam, select, update

from kernel_service.errors import Unreadable
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.schema.columns import Sealed, row_key
from kernel_service.storage.schema.connections import connect_attempt, connection, parked_request
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import reply
from kernel_service.storage.schema.people import alias
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.triggers import trigger, trigger_event
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Column, Row, Table

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import Place

PAGE: Final = 500
"""Rows that are in memory at once."""

# Items get new numbers, too: see merged_history. Files keep the key of the merged person; see schema.media.
# An event that arrives now waits for its trigger's row, which moves first.
_MOVED: Final = (
    alias,
    message,
    reply,
    connection,
    connect_attempt,
    parked_request,
    approval,
    schedule,
    trigger,
    trigger_event,
)


@dataclass(frozen=True, slots=True)
class Merging:
    """The person who is merged, and the person who gets everything of theirs."""

    merged: str
    remaining: str


class OwnedPlace(NamedTuple):
    """A place, and the person with whose key its value is sealed."""

    person_id: str
    place: Place


def sealed_columns(table: Table) -> list[Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, Sealed)]


def place_of(column: Column[Any], row: Row[Any]) -> Place:
    return place(column, *(getattr(row, key.name) for key in row_key(column.table)))


def move(tx: Tx, people: Merging) -> None:
    for table in _MOVED:
        _move(tx, table, people)


def _move(tx: Tx, table: Table, people: Merging) -> None:
    keys, columns = list(table.primary_key.columns), sealed_columns(table)
    page = select(table).where(table.c.person_id == bindparam("merged")).limit(bindparam("limit", type_=Integer))
    moved = (
        update(table)
        .where(*(key == bindparam(f"of_{key.name}") for key in keys))
        .values(
            {"person_id": bindparam("remaining")} | {column.name: bindparam(f"new_{column.name}") for column in columns}
        )
    )
    while rows := tx.execute(page, {"merged": people.merged, "limit": PAGE}).all():
        values = [
            {f"of_{key.name}": getattr(row, key.name) for key in keys}
            | {"remaining": people.remaining}
            | {f"new_{column.name}": _moved(tx, people, column, row) for column in columns}
            for row in rows
        ]
        tx.execute(moved, values)


def _moved(tx: Tx, people: Merging, column: Column[Any], row: Row[Any]) -> bytes | None:
    value, there = getattr(row, column.name), place_of(column, row)
    return (
        None
        if value is None
        else resealed(tx, value, OwnedPlace(people.merged, there), OwnedPlace(people.remaining, there))
    )


def resealed(tx: Tx, value: bytes, source: OwnedPlace, target: OwnedPlace) -> bytes:
    """A damaged value is kept unchanged, and stays damaged. Raises `SealingKeyUnknown`."""
    cipher = tx.cipher_of(source.person_id)
    try:
        plain = cipher.open(value, source.place)
    except Unreadable:
        return value
    return tx.cipher_of(target.person_id).seal(plain, target.place)
