"""Merges two people who are one: everything of the newer one moves to the older one, in one transaction.

Both leases are revoked first, so that no turn of either person writes afterwards. The next owner of the older person
resumes from their journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, exists, func, insert, or_, select, update

from kernel_service.people.linking import MergeCandidate, may_merge, older_first
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.people import Linked, LinkOutcome
from kernel_service.storage.approvals import standing_permissions
from kernel_service.storage.connections import links
from kernel_service.storage.keys import resealing
from kernel_service.storage.keys.resealing import Merging
from kernel_service.storage.merging import merged_history, merged_turns
from kernel_service.storage.outbox import replies, sql_invitations
from kernel_service.storage.people import facts, leases, time_zones
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import kept_apart, person
from kernel_service.storage.schema.turns import dead_letter, tool_call, turn
from kernel_service.storage.usage import reservations, spending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.storage.engine.engine import Tx

_AUTHORISED: Final = (ConnectionStatus.ACTIVE.value, ConnectionStatus.UNCONFIRMED.value)
_connected = exists().where(connection.c.person_id == person.c.id, connection.c.status.in_(_AUTHORISED))
# Concurrent inserts for the person lock the person's key, which does not change, so neither waits for the other.
_PEOPLE = (
    select(person.c.id, person.c.created_at, person.c.merged_into, _connected.label("connected"))
    .where(person.c.id.in_(bindparam("people", expanding=True)))
    .order_by(person.c.id)
    .with_for_update(key_share=True, of=person)
)
_MERGED = (
    update(person)
    .where(or_(person.c.id == bindparam("merged"), person.c.merged_into == bindparam("merged")))
    .values(merged_into=bindparam("remaining"))
)
_HELD_BY_VENDOR = (
    update(connection)
    .where(connection.c.person_id == bindparam("merged"), connection.c.made_for == "")
    .values(made_for=bindparam("merged"))
)
_RENAMED = [
    update(table).where(table.c.person_id == bindparam("merged")).values(person_id=bindparam("remaining"))
    for table in (turn, tool_call, dead_letter)
]
_other = kernel.alias("other")
_stopped_at = select(_other.c.stopped_at).where(_other.c.person_id == bindparam("merged")).scalar_subquery()
# A "stop" of either person counts for both.
_STOPPED = (
    update(kernel)
    .where(
        kernel.c.person_id == bindparam("remaining"),
        func.coalesce(kernel.c.stopped_at, 0.0) < func.coalesce(_stopped_at, 0.0),
    )
    .values(stopped_at=_stopped_at)
)
_KEEP_APART = insert(kept_apart)
_PAIR = select(kept_apart.c.since).where(
    kept_apart.c.first_id == bindparam("first"), kept_apart.c.second_id == bindparam("second")
)
PAIRS_OF = select(kept_apart).where(
    or_(kept_apart.c.first_id == bindparam("person"), kept_apart.c.second_id == bindparam("person"))
)
_DROP_PAIR = delete(kept_apart).where(
    kept_apart.c.first_id == bindparam("first"), kept_apart.c.second_id == bindparam("second")
)


def meet(tx: Tx, one_id: str, other_id: str, *, now: float) -> Linked:
    """A channel reports that two people are one: MERGED, or KEPT_APART."""
    people = standings(tx, (one_id, other_id))
    if len(people) == 1:
        return Linked(LinkOutcome.LINKED, people[0].person_id)
    older, newer = older_first(*people)
    if may_merge(older, newer):
        return unite(tx, older, newer, now)
    is_new = _keep_apart(tx, older.person_id, newer.person_id, now)
    return Linked(LinkOutcome.KEPT_APART, older.person_id, other_id=newer.person_id, is_new=is_new)


def standings(tx: Tx, ids: Iterable[str]) -> list[MergeCandidate]:
    """Those people, or the ones into whom they were merged. No other transaction merges them until this one ends."""
    wanted = sorted({surviving(tx, person_id) for person_id in ids})
    rows = tx.execute(_PEOPLE, {"people": wanted}).all()
    if any(row.merged_into is not None for row in rows):
        return standings(tx, wanted)
    return [MergeCandidate(row.id, row.created_at, row.connected) for row in rows]


def unite(tx: Tx, older: MergeCandidate, newer: MergeCandidate, now: float) -> Linked:
    people = Merging(merged=newer.person_id, remaining=older.person_id)
    for person_id in sorted((people.merged, people.remaining)):
        leases.take_away(tx, person_id)
    tx.execute(_HELD_BY_VENDOR, {"merged": people.merged})
    links.end_second(tx, people)
    resealing.move(tx, people)
    goes_on = merged_turns.leave_one_open(tx, people, now)
    merged_history.append(tx, people, goes_on)
    for statement in (*_RENAMED, _STOPPED, _MERGED):
        tx.execute(statement, {"merged": people.merged, "remaining": people.remaining})
    spending.move(tx, people.merged, people.remaining)
    reservations.move(tx, people.merged, people.remaining)
    time_zones.move(tx, people)
    facts.move(tx, people)
    standing_permissions.move(tx, people)
    sql_invitations.move(tx, people)
    _settle_pairs(tx, people)
    replies.release_unaddressed(tx, people.remaining)
    return Linked(LinkOutcome.MERGED, people.remaining, merged_id=people.merged)


def _settle_pairs(tx: Tx, people: Merging) -> None:
    """Pairs that kept the newer person apart from others now name the older person."""
    for row in tx.execute(PAIRS_OF, {"person": people.merged}).all():
        tx.execute(_DROP_PAIR, {"first": row.first_id, "second": row.second_id})
        [other] = {row.first_id, row.second_id} - {people.merged}
        if other != people.remaining:
            _keep_apart(tx, people.remaining, other, row.since)


def _keep_apart(tx: Tx, one_id: str, other_id: str, now: float) -> bool:
    """Whether the pair is new."""
    first, second = sorted((one_id, other_id))
    if tx.execute(_PAIR, {"first": first, "second": second}).one_or_none() is not None:
        return False
    tx.execute(_KEEP_APART, {"first_id": first, "second_id": second, "since": now})
    return True
