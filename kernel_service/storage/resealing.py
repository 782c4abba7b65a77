"""What is sealed with one person's key, moved to another person and sealed with his."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, select, update

from kernel_service.errors import Conflict
from kernel_service.storage.asked import arguments_context
from kernel_service.storage.connect_attempts import secrets_context
from kernel_service.storage.connections import private_context
from kernel_service.storage.inbox import payload_context
from kernel_service.storage.outbox import reply_context
from kernel_service.storage.parked_requests import words_context
from kernel_service.storage.people import alias_context
from kernel_service.storage.schema import alias, approval, connect_attempt, connection, message, parked_request, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Row

    from kernel_service.storage.engine import Tx

PAGE: Final = 500
"""Rows that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Merging:
    """Who was merged, and who has all that was his."""

    gone: str
    stays: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column of a table with a row's person in `person_id`. `context` is what that row is sealed for, as his."""

    column: Column[Any]
    context: Callable[[str, Row[Any]], bytes]


# The items of the history need new numbers, too: see merged_history.
SEALED: Final = (
    Sealed(alias.c.value, lambda person_id, _: alias_context(person_id)),
    Sealed(message.c.payload, lambda person_id, _: payload_context(person_id)),
    Sealed(reply.c.body, lambda _, row: reply_context(row.id)),
    Sealed(connection.c.private, lambda _, row: private_context(row.id)),
    Sealed(connect_attempt.c.secrets, lambda _, row: secrets_context(row.connection_id)),
    Sealed(parked_request.c.words, lambda person_id, _: words_context(person_id)),
    Sealed(approval.c.arguments, lambda _, row: arguments_context(row.id)),
)


def move(tx: Tx, people: Merging) -> None:
    for sealed in SEALED:
        _move(tx, sealed, people)


def _move(tx: Tx, sealed: Sealed, people: Merging) -> None:
    table = sealed.column.table
    keys = list(table.primary_key.columns)
    page = select(table).where(table.c.person_id == bindparam("gone")).limit(bindparam("limit", type_=Integer))
    moved = (
        update(table)
        .where(*(key == bindparam(f"of_{key.name}") for key in keys))
        .values({"person_id": bindparam("stays"), sealed.column.name: bindparam("resealed")})
    )
    while rows := tx.execute(page, {"gone": people.gone, "limit": PAGE}).all():
        values = [
            {f"of_{key.name}": getattr(row, key.name) for key in keys}
            | {"stays": people.stays, "resealed": _resealed(tx, sealed, row, people)}
            for row in rows
        ]
        tx.execute(moved, values)


def _resealed(tx: Tx, sealed: Sealed, row: Row[Any], people: Merging) -> bytes | None:
    value = getattr(row, sealed.column.name)
    return None if value is None else reseal(tx, people, value, lambda person_id: sealed.context(person_id, row))


def reseal(tx: Tx, people: Merging, value: bytes, context: Callable[[str], bytes]) -> bytes:
    """A value that does not open is left as it is, and goes on not to open. Conflict SEALING_KEY_UNKNOWN."""
    cipher = tx.cipher_of(people.gone)
    try:
        plain = cipher.open(value, context(people.gone))
    except Conflict:
        return value
    return tx.cipher_of(people.stays).seal(plain, context(people.stays))
