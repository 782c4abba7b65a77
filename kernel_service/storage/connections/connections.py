"""Each person's session at the tools' vendor and their connections to accounts. Links and names are sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, bindparam, false, insert, or_, select, update

from kernel_service.errors import NotFound
from kernel_service.ports.connections import Connection, ConnectionStatus
from kernel_service.storage.keys import damage
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import SURVIVOR, surviving
from kernel_service.storage.schema.schema import ATTEMPT_LIVE, REMOVE_DUE, connect_attempt, connection, kernel
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.messages import Notice
    from kernel_service.storage.engine.engine import Tx

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
_OF_ACCOUNT = select(connection).where(connection.c.account_id == bindparam("account"))
_TO_REMOVE = (
    select(connection)
    .where(REMOVE_DUE, connection.c.id > bindparam("after"))
    .order_by(connection.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_REMOVED = update(connection).where(connection.c.id == bindparam("of")).values(remove_due=false())
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
_AS_IT_WAS = (
    select(connection)
    .where(connection.c.id == bindparam("of"), connection.c.status == bindparam("was"))
    .with_for_update()
)
_END_ATTEMPT = (
    update(connect_attempt)
    .where(connect_attempt.c.connection_id == bindparam("of"), ATTEMPT_LIVE)
    .values(state="removed")
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
    return [opened(tx, row) for row in tx.execute(_CONNECTIONS, {"person": person_id})]


def connection_of_account(tx: Tx, account_id: str) -> Connection | None:
    row = tx.execute(_OF_ACCOUNT, {"account": account_id}).one_or_none()
    return None if row is None else opened(tx, row)


def add(tx: Tx, added: Connection) -> None:
    """A new one, of a person who is nobody else's by now."""
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
    """Whose it is by now, a merging may have decided; its toolkit and when it was made never change."""
    changes = {
        "of": changed.id,
        "account": changed.account_id or None,
        "to": changed.status.value,
        "sealed": _sealed(tx, changed, person_id),
        "confirmed": changed.confirmed_at,
        "removing": changed.remove_due,
    }
    tx.execute(_CHANGE, changes)


def bar(
    tx: Tx, as_it_was: Connection, to: ConnectionStatus, *, remove: bool, notice: Notice | None
) -> Connection | None:
    """What was under way to connect it ends. Whose it is by now, and which account, its row tells."""
    surviving(tx, as_it_was.person_id, stays=True)
    row = tx.execute(_AS_IT_WAS, {"of": as_it_was.id, "was": as_it_was.status.value}).one_or_none()
    if row is None:
        return None
    known = opened(tx, row)
    barred = replace(known, status=to, link="", remove_due=remove and bool(known.account_id))
    change(tx, barred, row.person_id)
    tx.execute(_END_ATTEMPT, {"of": row.id})
    if notice is not None:
        replies.notify(tx, row.person_id, notice)
    return barred


def to_remove(tx: Tx, *, after: str, limit: int) -> list[Connection]:
    return [_connection(row) for row in tx.execute(_TO_REMOVE, {"after": after, "limit": limit})]


def removed(tx: Tx, connection_id: str) -> None:
    tx.execute(_REMOVED, {"of": connection_id})


def _sealed(tx: Tx, kept: Connection, person_id: str) -> bytes | None:
    if not (kept.link or kept.name):
        return None
    return tx.cipher_of(person_id).seal_json([kept.link, kept.name], place(connection.c.private, kept.id))


def opened(tx: Tx, row: Row[Any]) -> Connection:
    if row.private is None:
        return _connection(row)
    private = damage.value_of(tx, row.person_id, row.private, place(connection.c.private, row.id))
    return _connection(row, *(private or ()))  # the account itself can be used without its name


def _connection(row: Row[Any], link: str = "", name: str = "") -> Connection:
    return Connection(
        row.id,
        row.person_id,
        row.toolkit,
        row.toolkit_name or row.toolkit.title(),  # without it: of before it was kept
        row.account_id or "",
        ConnectionStatus(row.status),
        link,
        row.created_at,
        row.confirmed_at,
        row.made_for,
        row.remove_due,
        name,
    )
