"""People's connections to accounts. Links and names are sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Integer, bindparam, false, select, update

from kernel_service.ports.connect_attempts import ConnectAttemptState
from kernel_service.storage.connections import connections, ended_triggers
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import staying
from kernel_service.storage.schema.connections import ATTEMPT_LIVE, REMOVE_DUE, connect_attempt, connection

if TYPE_CHECKING:
    from kernel_service.ports.connections import Connection, ConnectionStatus
    from kernel_service.ports.messages import Notice
    from kernel_service.storage.engine.engine import Tx

_OF_ACCOUNT = select(connection).where(connection.c.account_id == bindparam("account"))
_TO_REMOVE = (
    select(connection)
    .where(REMOVE_DUE, connection.c.id > bindparam("after"))
    .order_by(connection.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_REMOVED = (
    update(connection)
    .where(connection.c.id == bindparam("of"), connection.c.account_id == bindparam("account"))
    .values(remove_due=false())
)
_UNCHANGED = (
    select(connection)
    .where(connection.c.id == bindparam("of"), connection.c.status == bindparam("was"))
    .with_for_update()
)
_END_ATTEMPT = (
    update(connect_attempt)
    .where(connect_attempt.c.connection_id == bindparam("of"), ATTEMPT_LIVE)
    .values(state=ConnectAttemptState.REMOVED.value)
)


class SqlConnections(SqlPort):
    """Fills `ConnectionStore`."""

    @reads
    def of_person(self, tx: Tx, person_id: str) -> list[Connection]:
        return connections.of_person(tx, person_id)

    @reads
    def of_account(self, tx: Tx, account_id: str) -> Connection | None:
        row = tx.execute(_OF_ACCOUNT, {"account": account_id}).one_or_none()
        return None if row is None else connections.opened(tx, row)

    @writes(in_order_of="connection.person_id")
    def bar(
        self, tx: Tx, connection: Connection, to: ConnectionStatus, *, remove: bool, notice: Notice | None = None
    ) -> Connection | None:
        if staying(tx, connection.person_id) is None:
            return None
        row = tx.execute(_UNCHANGED, {"of": connection.id, "was": connection.status.value}).one_or_none()
        if row is None:
            return None
        known = connections.opened(tx, row)
        barred = replace(known, status=to, link="", remove_due=remove and bool(known.account_id))
        connections.change(tx, barred, row.person_id)
        tx.execute(_END_ATTEMPT, {"of": row.id})
        ended_triggers.end_of_connection(tx, row.id)
        if notice is not None:
            replies.notify(tx, row.person_id, notice)
        return barred

    @reads
    def to_remove(self, tx: Tx, *, after: str = "", limit: int) -> list[Connection]:
        return [connections.without_name(row) for row in tx.execute(_TO_REMOVE, {"after": after, "limit": limit})]

    @writes()
    def mark_removed(self, tx: Tx, connection_id: str, account_id: str) -> None:
        tx.execute(_REMOVED, {"of": connection_id, "account": account_id})
