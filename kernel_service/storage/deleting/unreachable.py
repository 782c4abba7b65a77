"""The first step of a deletion: from its commit on, nothing reaches the person, and nothing that is left can act.

The ids by which channels know them go first: a message that is being accepted holds their rows, and is accepted before.
Then the kernel, whose row fences every write of a turn. Then the person is locked, so that no row is added to theirs.
Each other transaction locks these in the same order.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, false, null, or_, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import NotFound
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.deletion import RevocationKind
from kernel_service.ports.media import MediaState
from kernel_service.ports.messages import Usage
from kernel_service.ports.triggers import TriggerStatus
from kernel_service.storage.deleting import forgotten_messages, revocations
from kernel_service.storage.deleting.stored_of_people import forget_chats
from kernel_service.storage.engine.engine import wrap_data_key
from kernel_service.storage.outbox import row_locks
from kernel_service.storage.schema.connections import connect_attempt, connection
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.media import media
from kernel_service.storage.schema.outbox import REPLY_UNSETTLED, reply, reply_part
from kernel_service.storage.schema.people import alias, identity_link, person
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.triggers import trigger
from kernel_service.storage.schema.usage import token_reservation
from kernel_service.storage.sealing.ciphers import KEY_BYTES
from kernel_service.storage.usage.spending import add_to_day

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from sqlalchemy import BindParameter, Row, Table

    from kernel_service.storage.engine.engine import Tx

_people: BindParameter[list[str]] = bindparam("people", expanding=True)


def _theirs(table: Table) -> Any:
    return table.c.person_id.in_(_people)


_EVERYONE = (
    select(person.c.id, person.c.deleted_at)
    .where(or_(person.c.id == bindparam("person"), person.c.merged_into == bindparam("person")))
    .order_by(person.c.id)
)
_INTO = select(person.c.id, person.c.merged_into).where(person.c.id == bindparam("person"))
_LOCK = select(person.c.id).where(person.c.id.in_(_people)).order_by(person.c.id).with_for_update()
_DROP_ALIASES = delete(alias).where(_theirs(alias)).returning(alias.c.channel, alias.c.scope, alias.c.digest)
_DROP_KERNELS = delete(kernel).where(_theirs(kernel)).returning(kernel.c.session_id)
_DESTROY_KEY = (
    update(person)
    .where(person.c.id == bindparam("of"))
    .values(
        deleted_at=bindparam("at"),
        data_key=bindparam("new_key"),
        key_id=bindparam("new_key_id"),
        bound=bindparam("is_bound"),
    )
)
_DROP_CHANGES = delete(identity_link).where(
    identity_link.c.channel == bindparam("of_channel"),
    or_(
        and_(
            identity_link.c.previous_scope == bindparam("of_scope"),
            identity_link.c.previous_digest == bindparam("of_digest"),
        ),
        and_(
            identity_link.c.current_scope == bindparam("of_scope"),
            identity_link.c.current_digest == bindparam("of_digest"),
        ),
    ),
)
_UNSETTLED = (
    select(reply.c.seq, reply.c.id, reply.c.channel, reply.c.address)
    .where(row_locks.in_order(_theirs(reply), REPLY_UNSETTLED))
    .order_by(reply.c.id)
)
_DROP_PARTS = delete(reply_part).where(reply_part.c.reply_id == bindparam("of"))
_DROP_REPLY = delete(reply).where(reply.c.seq == bindparam("of_seq"))
_WAITING = select(message.c.seq, *forgotten_messages.COLUMNS, message.c.accepted_at).where(
    _theirs(message), MESSAGE_OPEN
)
_DROP_MESSAGE = delete(message).where(message.c.seq == bindparam("of"))
_DROP_ATTEMPTS = delete(connect_attempt).where(_theirs(connect_attempt))
_DROP_SCHEDULES = delete(schedule).where(_theirs(schedule))
_ACCOUNTS = select(connection.c.account_id).where(
    _theirs(connection),
    connection.c.account_id.is_not(None),
    or_(connection.c.remove_due, connection.c.status != ConnectionStatus.DISCONNECTED.value),
)
_BAR = (
    update(connection)
    .where(_theirs(connection))
    .values(status=ConnectionStatus.DISCONNECTED.value, account_id=null(), private=null(), remove_due=false())
)
_TRIGGERS = select(trigger.c.vendor_id).where(_theirs(trigger), trigger.c.vendor_id.is_not(None))
_END_TRIGGERS = (
    update(trigger).where(_theirs(trigger)).values(status=TriggerStatus.ENDED.value, vendor_id=null(), due_at=null())
)
_FAIL_FILES = update(media).where(_theirs(media)).values(state=MediaState.FAILED.value, upload="", token="")
_RESERVED = select(token_reservation).where(_theirs(token_reservation))
_DROP_RESERVATIONS = delete(token_reservation).where(_theirs(token_reservation))


def everyone(tx: Tx, person_id: str) -> tuple[tuple[str, ...], bool]:
    """The person (or the one into whom they were merged) with all who were merged into them, and whether their deletion
    has begun. NotFound PERSON_NOT_FOUND.
    """
    into = tx.execute(_INTO, {"person": person_id}).one_or_none()
    if into is None:
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
    survivor = into.merged_into or into.id
    rows = tx.execute(_EVERYONE, {"person": survivor}).all()
    others = [row.id for row in rows if row.id != survivor]
    return (survivor, *others), any(row.deleted_at is not None for row in rows)


def lock(tx: Tx, people: Sequence[str]) -> bool:
    """Block new rows of these people until the transaction ends. False: the people are deleted already."""
    return bool(tx.execute(_LOCK, {"people": list(people)}).all())


def make_unreachable(tx: Tx, people: Sequence[str], now: float, deleted: Counter[str]) -> tuple[list[int], int]:
    """The messages that no turn will answer, by seq, and how much the vendor must remove."""
    of = {"people": list(people)}
    ids, kernels = tx.execute(_DROP_ALIASES, of).all(), tx.execute(_DROP_KERNELS, of).all()
    if not lock(tx, people):
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=people[0])
    deleted.update(alias=len(ids), kernel=len(kernels))
    _destroy_keys(tx, people, now)
    _drop_changes(tx, ids, deleted)
    _write_off(tx, of, deleted)
    _drop_replies(tx, of, deleted)
    tx.execute(_FAIL_FILES, of)  # the end of an upload locks its file before the message, too
    unanswered = _drop_messages(tx, of, now, deleted)
    revoked = _end_access(tx, of, [row.session_id for row in kernels], deleted)
    return unanswered, revoked


def _destroy_keys(tx: Tx, people: Sequence[str], now: float) -> None:
    """Replace the data keys with new ones, which have sealed nothing."""
    for person_id in people:
        key = wrap_data_key(tx.keyring.master_keys, person_id, os.urandom(KEY_BYTES))
        renewed = {"new_key": key["data_key"], "new_key_id": key["key_id"], "is_bound": key["bound"]}
        tx.execute(_DESTROY_KEY, {"of": person_id, "at": now, **renewed})


def _drop_changes(tx: Tx, ids: Sequence[Row[Any]], deleted: Counter[str]) -> None:
    for row in ids:
        named = {"of_channel": row.channel, "of_scope": row.scope, "of_digest": row.digest}
        deleted["identity_link"] += tx.execute(_DROP_CHANGES, named).rowcount


def _write_off(tx: Tx, of: dict[str, Any], deleted: Counter[str]) -> None:
    """No write will settle the requests in progress. Their cost stays in the sums of all people."""
    for row in tx.execute(_RESERVED, of).all():
        cost = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens, model_calls=1)
        add_to_day(tx, row.person_id, cost, row.day * DAY_SECONDS)
    deleted["token_reservation"] += tx.execute(_DROP_RESERVATIONS, of).rowcount


def _drop_replies(tx: Tx, of: dict[str, Any], deleted: Counter[str]) -> None:
    """Delete the replies that a channel would send. Settled ones follow later."""
    rows = tx.execute(_UNSETTLED, of).all()
    for row in rows:
        deleted["reply_part"] += tx.execute(_DROP_PARTS, {"of": row.id}).rowcount
        deleted["reply"] += tx.execute(_DROP_REPLY, {"of_seq": row.seq}).rowcount


def _drop_messages(tx: Tx, of: dict[str, Any], now: float, deleted: Counter[str]) -> list[int]:
    rows = tx.execute(_WAITING, of).all()
    if rows:
        forgotten_messages.keep(tx, rows, now)
        tx.execute(_DROP_MESSAGE, [{"of": row.seq} for row in rows])
        forget_chats(tx, rows)
    deleted["message"] += len(rows)
    return [row.seq for row in rows]


def _end_access(tx: Tx, of: dict[str, Any], sessions: Sequence[str], deleted: Counter[str]) -> int:
    """Links, schedules, triggers, accounts."""
    owed: Final = {
        RevocationKind.ACCOUNT: tx.execute(_ACCOUNTS, of).scalars(),
        RevocationKind.TRIGGER: tx.execute(_TRIGGERS, of).scalars(),
        RevocationKind.SESSION: sessions,
    }
    revoked = sum(revocations.note(tx, kind, each) for kind, some in owed.items() for each in list(some))
    deleted["connect_attempt"] += tx.execute(_DROP_ATTEMPTS, of).rowcount
    deleted["schedule"] += tx.execute(_DROP_SCHEDULES, of).rowcount
    for statement in (_END_TRIGGERS, _BAR):
        tx.execute(statement, of)
    return revoked
