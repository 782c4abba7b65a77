"""Deletes a person: one transaction for most, several short ones for a person with much."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from kernel_service.ports.deletion import DeletionStep
from kernel_service.storage.deleting import stored_of_people, unreachable
from kernel_service.storage.engine.one_at_a_time import Units, one_at_a_time
from kernel_service.storage.engine.units import SqlPort, reads, writes_apart
from kernel_service.storage.schema.people import PERSON_DELETED, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx

_UNFINISHED = select(person.c.id).where(
    PERSON_DELETED, person.c.deleted_at < bindparam("before"), person.c.merged_into.is_(None)
)
_DROP_PEOPLE = delete(person).where(person.c.id.in_(bindparam("people", expanding=True)))


class SqlDeletion(SqlPort):
    """Fills `DeletionStore`."""

    @writes_apart
    def begin(self, tx: Tx, person_id: str, *, now: float) -> DeletionStep:
        one_at_a_time(tx, Units.IDENTITIES)
        people, has_begun = unreachable.everyone(tx, person_id)
        if has_begun:
            return _delete_page(tx, people, now)
        rows: Counter[str] = Counter()
        unanswered, revocations = unreachable.make_unreachable(tx, people, now, rows)
        is_last = _delete_all(tx, people, now, rows)
        return DeletionStep(people, is_last, rows, tuple(unanswered), revocations)

    @writes_apart
    def go_on(self, tx: Tx, people: Sequence[str], *, now: float) -> DeletionStep:
        return _delete_page(tx, tuple(people), now)

    @reads
    def unfinished(self, tx: Tx, *, before: float) -> list[str]:
        return list(tx.execute(_UNFINISHED, {"before": before}).scalars())

    def forget_key(self, person_id: str) -> None:
        self._engine.keyring.drop(person_id)


def _delete_page(tx: Tx, people: tuple[str, ...], now: float) -> DeletionStep:
    rows: Counter[str] = Counter()
    is_last = not unreachable.lock(tx, people) or _delete_all(tx, people, now, rows)
    return DeletionStep(people, is_last, rows)


def _delete_all(tx: Tx, people: tuple[str, ...], now: float, rows: Counter[str]) -> bool:
    """Delete as much as one transaction may. Returns whether that was all: then the people are deleted, too."""
    if not stored_of_people.delete_page(tx, people, now, rows):
        return False
    rows["person"] += tx.execute(_DROP_PEOPLE, {"people": list(people)}).rowcount
    return True
