"""Attempts to connect accounts. Each step is a compare-and-swap on the state, so it is taken once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, and_, bindparam, exists, insert, not_, select, update

from kernel_service.ports.commands import Command
from kernel_service.ports.connect_attempts import AWAITING_CODE, ConnectAttempt, ConnectAttemptKey, ConnectAttemptState
from kernel_service.ports.deletion import RevocationKind
from kernel_service.ports.states.connect_attempt import CONNECT_ATTEMPT
from kernel_service.storage.connections import connections, parked_requests, resumed_requests, wrong_codes
from kernel_service.storage.connections.wrong_codes import AWAITS_CODE
from kernel_service.storage.deleting import revocations
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.outbox import replies
from kernel_service.storage.people.people import SURVIVOR, staying, surviving
from kernel_service.storage.schema.connections import ATTEMPT_LIVE, ATTEMPT_OPEN, connect_attempt, connection
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.transitions import is_one_of
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.messages import Notice
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.storage.engine.engine import Tx

_SECRETS: Final = ("consent_url", "session_uri", "code")
_UNDER_WAY: Final = (ConnectAttemptState.STARTED, *AWAITING_CODE)
_found = select(connect_attempt).order_by(connect_attempt.c.created_at, connect_attempt.c.connection_id)
_COLUMNS: Final = {
    ConnectAttemptKey.LINK: connect_attempt.c.door_digest,
    ConnectAttemptKey.RETURN: connect_attempt.c.return_digest,
    ConnectAttemptKey.CODE: connect_attempt.c.code_digest,
}
_BY: Final = {key: _found.where(column == bindparam("digest")) for key, column in _COLUMNS.items()}
_IN_BROWSER = (
    select(connect_attempt)
    .where(
        connect_attempt.c.browser_digest == bindparam("digest"),
        is_one_of(connect_attempt.c.state, _UNDER_WAY),
    )
    .order_by(connect_attempt.c.created_at.desc(), connect_attempt.c.connection_id)
)
_LIVE = _found.where(connect_attempt.c.person_id == SURVIVOR, ATTEMPT_LIVE)
_code_arrived = exists().where(
    message.c.person_id == connect_attempt.c.person_id,
    message.c.command == Command.CODE.value,
    message.c.accepted_at < connect_attempt.c.deadline,
    MESSAGE_OPEN,
)
_lapses = and_(ATTEMPT_LIVE, connect_attempt.c.deadline <= bindparam("now"), not_(and_(AWAITS_CODE, _code_arrived)))
_LAPSING = (
    select(connect_attempt.c.connection_id)
    .where(_lapses, connect_attempt.c.connection_id > bindparam("after"))
    .order_by(connect_attempt.c.connection_id)
    .limit(bindparam("limit", type_=Integer))
)
_LAPSING_ONE = select(connect_attempt).where(connect_attempt.c.connection_id == bindparam("of"), _lapses)
_UNFOLLOWED = select(connect_attempt.c.connection_id).where(
    connect_attempt.c.person_id == bindparam("person"), connect_attempt.c.toolkit == bindparam("of"), ATTEMPT_OPEN
)
_CONNECTION = select(connection).where(connection.c.id == bindparam("of"))
_ADD = insert(connect_attempt)
_UNCHANGED = (
    select(connect_attempt.c.person_id)
    .where(connect_attempt.c.connection_id == bindparam("of"), connect_attempt.c.state == bindparam("was"))
    .with_for_update()
)
_ADVANCE = (
    update(connect_attempt)
    .where(connect_attempt.c.connection_id == bindparam("of"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state",
                "deadline",
                "return_digest",
                "browser_digest",
                "code_digest",
                "secrets",
            )
        }
    )
)
_AWAITING = _found.where(connect_attempt.c.person_id == bindparam("person"), AWAITS_CODE)


class SqlConnectAttempts(SqlPort):
    """Fills `ConnectAttemptStore`."""

    @writes(in_order_of="attempt.person_id")
    def add(self, tx: Tx, attempt: ConnectAttempt, *, now: float) -> bool:
        person_id = surviving(tx, attempt.person_id, stays=True)
        if tx.execute(_UNFOLLOWED, {"person": person_id, "of": attempt.toolkit}).one_or_none() is not None:
            return False
        if person_id != attempt.person_id:
            # At the vendor the account stays with the person who began the attempt.
            made_for = attempt.connection.holder
            attempt = replace(attempt, connection=replace(attempt.connection, person_id=person_id, made_for=made_for))
        connections.add(tx, attempt.connection)
        row = {
            "connection_id": attempt.connection.id,
            "person_id": person_id,
            "toolkit": attempt.toolkit,
            "channel": attempt.channel,
            "address": attempt.address,
            "door_digest": attempt.link_digest,
            "created_at": now,
            **_progress(tx, attempt, person_id),
        }
        tx.execute(_ADD, row)
        return True

    @reads
    def find(self, tx: Tx, key: ConnectAttemptKey, digest: bytes) -> ConnectAttempt | None:
        row = tx.execute(_BY[key], {"digest": digest}).one_or_none()
        return None if row is None else _opened(tx, row)

    @reads
    def in_browser(self, tx: Tx, browser_digest: bytes) -> list[ConnectAttempt]:
        return [_opened(tx, row) for row in tx.execute(_IN_BROWSER, {"digest": browser_digest}).all()]

    @reads
    def live(self, tx: Tx, person_id: str) -> list[ConnectAttempt]:
        return [_opened(tx, row) for row in tx.execute(_LIVE, {"person": person_id}).all()]

    @reads
    def lapsing(self, tx: Tx, *, now: float, after: str = "", limit: int) -> list[str]:
        return list(tx.execute(_LAPSING, {"now": now, "after": after, "limit": limit}).scalars())

    @reads
    def lapsing_one(self, tx: Tx, connection_id: str, *, now: float) -> ConnectAttempt | None:
        row = tx.execute(_LAPSING_ONE, {"of": connection_id, "now": now}).one_or_none()
        return None if row is None else _opened(tx, row)

    @writes(in_order_of="attempt.person_id")
    def advance(
        self, tx: Tx, attempt: ConnectAttempt, *, was: ConnectAttemptState, notice: Notice | None = None
    ) -> bool:
        person_id = _advance(tx, attempt, was)
        if person_id is not None and notice is not None:
            replies.notify(tx, person_id, notice)
        return person_id is not None

    @writes(in_order_of="attempt.person_id")
    def confirm(self, tx: Tx, attempt: ConnectAttempt, *, was: ConnectAttemptState, seq: int, now: float) -> bool:
        person_id = _advance(tx, attempt, was)
        if person_id is None:
            return False
        parked_requests.resume(tx, person_id, attempt.toolkit, seq, now)
        return True

    @writes(in_order_of="person_id")
    def count_wrong_code(self, tx: Tx, person_id: str) -> list[ConnectAttempt]:
        wrong_codes.count(tx, person_id, 1)
        return [_opened(tx, row) for row in tx.execute(_AWAITING, {"person": person_id}).all()]

    @reads
    def resumed_by(self, tx: Tx, person_id: str, seq: int) -> list[ParkedRequest]:
        return resumed_requests.resumed_by(tx, person_id, seq)


def _advance(tx: Tx, attempt: ConnectAttempt, was: ConnectAttemptState) -> str | None:
    """The person who owns it now, locked against merging until the transaction ends. None: the state is not `was`."""
    CONNECT_ATTEMPT.check(was, attempt.state)
    if staying(tx, attempt.person_id) is None:  # the vendor may have made the account since the person was deleted
        revocations.note(tx, RevocationKind.ACCOUNT, attempt.connection.account_id)
        return None
    person_id = tx.execute(_UNCHANGED, {"of": attempt.connection.id, "was": was.value}).scalar_one_or_none()
    if person_id is None:
        return None
    progress = {f"new_{name}": value for name, value in _progress(tx, attempt, person_id).items()}
    tx.execute(_ADVANCE, progress | {"of": attempt.connection.id})
    connections.change(tx, attempt.connection, person_id)
    return str(person_id)


def _progress(tx: Tx, attempt: ConnectAttempt, person_id: str) -> dict[str, Any]:
    secrets = {name: getattr(attempt, name) for name in _SECRETS}
    return {
        "state": attempt.state.value,
        "deadline": attempt.deadline,
        "return_digest": attempt.return_digest,
        "browser_digest": attempt.browser_digest,
        "code_digest": attempt.code_digest,
        "secrets": tx.cipher_of(person_id).seal_json(secrets, place(connect_attempt.c.secrets, attempt.connection.id)),
    }


def _opened(tx: Tx, row: Row[Any]) -> ConnectAttempt:
    secrets = tx.cipher_of(row.person_id).open_json(row.secrets, place(connect_attempt.c.secrets, row.connection_id))
    return ConnectAttempt(
        connection=connections.opened(tx, tx.execute(_CONNECTION, {"of": row.connection_id}).one()),
        channel=row.channel,
        address=row.address,
        state=ConnectAttemptState(row.state),
        deadline=row.deadline,
        link_digest=row.door_digest,
        return_digest=row.return_digest,
        browser_digest=row.browser_digest,
        code_digest=row.code_digest,
        wrong_codes=row.wrong_codes,
        **secrets,
    )
