"""The facts about each person, sealed with their key."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, exists, insert, select, update

from kernel_service.errors import NotFound, Unreadable
from kernel_service.ports.memory import MOST_FACTS, Fact, FactLabel, KeptAs
from kernel_service.ports.turns import FACTS, OWN
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.memory import fact
from kernel_service.storage.schema.people import person
from kernel_service.storage.schema.turns import item
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging
    from kernel_service.storage.sealing.ciphers import Place

HAS_FACTS = exists().where(fact.c.person_id == bindparam("person"))
_LOCK = (
    select(person.c.id, person.c.merged_into)
    .where(person.c.id == bindparam("person"), person.c.deleted_at.is_(None))
    .with_for_update(key_share=True)
)
_ROWS = select(fact).order_by(fact.c.number)
_OF_PERSON = _ROWS.where(fact.c.person_id == SURVIVOR)
_EXACTLY_OF = _ROWS.where(fact.c.person_id == bindparam("person"))
_NUMBER = (
    update(person)
    .where(person.c.id == bindparam("person"))
    .values(last_fact=person.c.last_fact + 1)
    .returning(person.c.last_fact)
)
_ADD = insert(fact)
_DELETE = delete(fact).where(fact.c.person_id == bindparam("person"), fact.c.number == bindparam("of"))
# After a merge the model must be shown the facts of both: an earlier showing counts as an ordinary input.
_SHOW_AGAIN = update(item).where(item.c.person_id == bindparam("person"), item.c.origin == FACTS).values(origin=OWN)


def of_person(tx: Tx, person_id: str) -> list[Fact]:
    """Those that can be read, the oldest first."""
    rows = tx.execute(_OF_PERSON, {"person": person_id}).all()
    return [found for row in rows if (found := _opened(tx, row)) is not None]


def remember(tx: Tx, of: str, text: str, label: FactLabel, now: float) -> tuple[KeptAs, int]:
    person_id = _locked(tx, of)
    rows = _rows(tx, person_id)
    known = [found for row in rows if (found := _opened(tx, row)) is not None]
    same = next((each for each in known if each.label is label and _key(each.text) == _key(text)), None)
    if same is not None:
        return KeptAs.KNOWN, same.number
    replaced = [row.number for row in rows if label and row.label == label]
    if len(rows) - len(replaced) >= MOST_FACTS:
        return KeptAs.NOT_KEPT, 0
    _drop(tx, person_id, replaced)
    number = _next_number(tx, person_id)
    _add(tx, person_id, Fact(number, text, label), now)
    return (KeptAs.REPLACED if replaced else KeptAs.NEW), number


def forget(tx: Tx, of: str, numbers: Sequence[int] | None) -> list[Fact]:
    person_id = _locked(tx, of)
    there = {row.number: row for row in _rows(tx, person_id) if numbers is None or row.number in numbers}
    _drop(tx, person_id, there)
    # One that cannot be read is deleted, too.
    return [_opened(tx, row) or Fact(number, "") for number, row in there.items()]


def move(tx: Tx, people: Merging) -> None:
    """Both people's facts are kept, each once. If there are too many, the merged person's oldest are deleted.

    A name or language of the remaining person is kept.
    """
    rows, theirs = _rows(tx, people.merged), _rows(tx, people.remaining)
    known = {_key(each.text) for row in theirs if (each := _opened(tx, row)) is not None}
    labels = {row.label for row in theirs if row.label}
    added = [
        (found, row.created_at)
        for row in rows
        if (found := _opened(tx, row)) is not None and _key(found.text) not in known and found.label not in labels
    ]
    room = max(0, MOST_FACTS - len(theirs))
    for found, created_at in added[len(added) - min(room, len(added)) :]:
        _add(tx, people.remaining, replace(found, number=_next_number(tx, people.remaining)), created_at)
    _drop(tx, people.merged, [row.number for row in rows])
    if rows:
        tx.execute(_SHOW_AGAIN, {"person": people.remaining})


def _locked(tx: Tx, person_id: str) -> str:
    """The person, or the one into whom they were merged. Changes of their facts and a merge come one after the other.

    Raises `NotFound` PERSON_NOT_FOUND.
    """
    row = tx.execute(_LOCK, {"person": person_id}).one_or_none()
    if row is None:
        raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id)
    return str(row.id) if row.merged_into is None else _locked(tx, row.merged_into)


def _drop(tx: Tx, person_id: str, numbers: Iterable[int]) -> None:
    for number in numbers:
        tx.execute(_DELETE, {"person": person_id, "of": number})


def _rows(tx: Tx, person_id: str) -> list[Row[Any]]:
    return list(tx.execute(_EXACTLY_OF, {"person": person_id}).all())


def _next_number(tx: Tx, person_id: str) -> int:
    return int(tx.execute(_NUMBER, {"person": person_id}).scalar_one())


def _add(tx: Tx, person_id: str, new: Fact, created_at: float) -> None:
    row = {
        "person_id": person_id,
        "number": new.number,
        "label": new.label.value,
        "text": tx.cipher_of(person_id).seal_text(new.text, _place(person_id, new.number)),
        "created_at": created_at,
    }
    tx.execute(_ADD, row)


def _opened(tx: Tx, row: Row[Any]) -> Fact | None:
    try:
        text = tx.cipher_of(row.person_id).open_text(row.text, _place(row.person_id, row.number))
    except Unreadable:
        return None
    return Fact(row.number, text, FactLabel(row.label))


def _place(person_id: str, number: int) -> Place:
    return place(fact.c.text, person_id, number)


def _key(text: str) -> str:
    """Two facts with one key are one."""
    return unicodedata.normalize("NFKC", text).casefold().rstrip(".!")
