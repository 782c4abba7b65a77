"""Each person's session at the tools' vendor and their connections to accounts. Links and names are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from kernel_service.errors import SealedValueDamaged
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.storage.keys import damage
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_CHANGE = (
    update(connection)
    .where(connection.c.id == bindparam("of"))
    .values(
        account_id=bindparam("account"),
        status=bindparam("to"),
        private=bindparam("sealed"),
        confirmed_at=bindparam("confirmed"),
        remove_due=bindparam("removing"),
    )
)
_ADD = insert(connection)
_OF_PERSON = (
    select(connection).where(connection.c.person_id == SURVIVOR).order_by(connection.c.created_at, connection.c.id)
)


def of_person(tx: Tx, person_id: str) -> list[Connection]:
    """All of them, the oldest first."""
    return [opened(tx, row) for row in tx.execute(_OF_PERSON, {"person": person_id})]


def add(tx: Tx, added: Connection) -> None:
    """Add a connection of a person who is not merged into another."""
    row = {
        "id": added.id,
        "person_id": added.person_id,
        "toolkit": added.toolkit,
        "toolkit_name": added.toolkit_name,
        "account_id": added.account_id or None,
        "made_for": added.made_for,
        "status": added.status.value,
        "private": _sealed(tx, added, added.person_id),
        "created_at": added.created_at,
        "confirmed_at": added.confirmed_at,
        "remove_due": added.remove_due,
    }
    tx.execute(_ADD, row)


def change(tx: Tx, changed: Connection, person_id: str) -> None:
    """Change a connection except its toolkit and creation time. A merge may have changed its person."""
    changes = {
        "of": changed.id,
        "account": changed.account_id or None,
        "to": changed.status.value,
        "sealed": _sealed(tx, changed, person_id),
        "confirmed": changed.confirmed_at,
        "removing": changed.remove_due,
    }
    tx.execute(_CHANGE, changes)


def _sealed(tx: Tx, kept: Connection, person_id: str) -> bytes | None:
    if not (kept.link or kept.name):
        return None
    return tx.cipher_of(person_id).seal_json([kept.link, kept.name], place(connection.c.private, kept.id))


def opened(tx: Tx, row: Row[Any]) -> Connection:
    if row.private is None:
        return without_name(row)
    try:
        private = damage.value_of(tx, row.person_id, row.private, place(connection.c.private, row.id))
    except SealedValueDamaged:  # the person's key is damaged, too: an operator still sees the account, or deletes them
        private = None
    return _connection(row, *(private or ()))  # the account can be used without its name


def without_name(row: Row[Any]) -> Connection:
    """The row's connection without its sealed values."""
    return _connection(row)


def _connection(row: Row[Any], link: str = "", name: str = "") -> Connection:
    return Connection(
        row.id,
        row.person_id,
        row.toolkit,
        row.toolkit_name or row.toolkit.title(),  # a row from before this column
        row.account_id or "",
        ConnectionStatus(row.status),
        link,
        row.created_at,
        row.confirmed_at,
        row.made_for,
        row.remove_due,
        name,
    )
