"""Each person's session at the tools' vendor and his connections to accounts. Links are sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, or_, select, update

from kernel_service.errors import NotFound
from kernel_service.storage.people import SURVIVOR, surviving
from kernel_service.storage.schema import connection, kernel
from kernel_service.tools.connections import Connection, ConnectionStatus

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine import Tx

_SESSION = select(kernel.c.session_id, kernel.c.configuration).where(kernel.c.person_id == bindparam("person"))
# The row is locked and looked at again before it is written: of two writers the second finds the first one's.
_KEEP_SESSION = (
    update(kernel)
    .where(
        kernel.c.person_id == bindparam("person"),
        or_(kernel.c.session_id == "", kernel.c.configuration != bindparam("configured")),
    )
    .values(session_id=bindparam("session"), configuration=bindparam("configured"))
)
_CONNECTIONS = (
    select(connection).where(connection.c.person_id == SURVIVOR).order_by(connection.c.created_at, connection.c.id)
)
_PENDING = (
    select(connection)
    .where(
        connection.c.status == ConnectionStatus.PENDING.value,
        connection.c.link_expires_at > bindparam("after"),
    )
    .order_by(connection.c.created_at, connection.c.id)
)
_CHANGE = (
    update(connection)
    .where(connection.c.id == bindparam("of"), connection.c.person_id == bindparam("person"))
    .values(
        status=bindparam("to"),
        link=bindparam("sealed"),
        link_expires_at=bindparam("until"),
        confirmed_at=bindparam("confirmed"),
    )
)
_ADD = insert(connection)


def session_of(tx: Tx, person_id: str) -> tuple[str, str] | None:
    row = tx.execute(_SESSION, {"person": person_id}).one_or_none()
    return (row.session_id, row.configuration) if row and row.session_id else None


def keep_session(tx: Tx, person_id: str, session_id: str, configuration: str) -> str:
    """NotFound PERSON_NOT_FOUND."""
    tx.execute(_KEEP_SESSION, {"person": person_id, "session": session_id, "configured": configuration})
    kept = session_of(tx, person_id)
    if kept is None:
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
    return kept[0]


def connections(tx: Tx, person_id: str) -> list[Connection]:
    return [_opened(tx, row) for row in tx.execute(_CONNECTIONS, {"person": person_id})]


def pending(tx: Tx, *, after: float) -> list[Connection]:
    return [_opened(tx, row) for row in tx.execute(_PENDING, {"after": after})]


def keep_connection(tx: Tx, kept: Connection) -> None:
    """Whose a connection is, its toolkit and its account never change, but by a merging. NotFound PERSON_NOT_FOUND."""
    kept = _of_survivor(tx, kept)
    change = {
        "of": kept.id,
        "person": kept.person_id,
        "to": kept.status.value,
        "sealed": _sealed(tx, kept),
        "until": kept.link_expires_at,
        "confirmed": kept.confirmed_at,
    }
    if tx.execute(_CHANGE, change).rowcount:
        return
    row = {
        "id": kept.id,
        "person_id": kept.person_id,
        "toolkit": kept.toolkit,
        "account_id": kept.account_id,
        "made_for": kept.made_for,
        "status": kept.status.value,
        "link": change["sealed"],
        "link_expires_at": kept.link_expires_at,
        "created_at": kept.created_at,
        "confirmed_at": kept.confirmed_at,
    }
    tx.execute(_ADD, row)


def _of_survivor(tx: Tx, kept: Connection) -> Connection:
    """As it is kept if the person was merged into another while the vendor was asked."""
    person_id = surviving(tx, kept.person_id, stays=True)
    return kept if person_id == kept.person_id else replace(kept, person_id=person_id, made_for=kept.holder)


def _sealed(tx: Tx, kept: Connection) -> bytes | None:
    if not kept.link:
        return None
    return tx.cipher_of(kept.person_id).seal(kept.link.encode(), link_context(kept.id))


def _opened(tx: Tx, row: Row[Any]) -> Connection:
    link = tx.cipher_of(row.person_id).open(row.link, link_context(row.id)).decode() if row.link else ""
    return Connection(
        row.id,
        row.person_id,
        row.toolkit,
        row.account_id,
        ConnectionStatus(row.status),
        link,
        row.link_expires_at,
        row.created_at,
        row.confirmed_at,
        row.made_for,
    )


def link_context(connection_id: str) -> bytes:
    """What a link is sealed for."""
    return b"connection:" + connection_id.encode()
