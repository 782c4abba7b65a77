"""Merges two histories: the merged person's items follow the remaining person's, and the open turn's items come last.

The turn then finds its own items at the end, where it left them, and the model sees a continuous conversation.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, and_, bindparam, case, literal, or_, select, update

from kernel_service.storage.keys import packed_copies
from kernel_service.storage.keys.resealing import PAGE, OwnedPlace, resealed
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.turns import item
from kernel_service.storage.turns.context import next_seq
from kernel_service.storage.turns.items import item_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Row, Select

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

FOREIGN: Final = "merged:"
"""Prefix of the origin of model output from another person's history; its reasoning is opaque in every other history.
"""

_of_person = (
    select(item.c.seq, item.c.data)
    .where(item.c.person_id == bindparam("person"), item.c.seq < bindparam("before"))
    .order_by(item.c.seq)
    .limit(bindparam("limit", type_=Integer))
)
_ENDED = _of_person.where(item.c.turn_id != bindparam("open"))
_OPEN = _of_person.where(item.c.turn_id == bindparam("open"))
# Items outside the merged person's context stay outside: the start of the remaining person's context precedes them.
_STARTED = select(kernel.c.context_start).where(kernel.c.person_id == bindparam("of")).scalar_subquery()
_one = and_(item.c.person_id == bindparam("of"), item.c.seq == bindparam("was"))
_RENUMBER = update(item).where(_one).values(seq=bindparam("becomes"), data=bindparam("resealed"))
_MOVE = (
    update(item)
    .where(_one)
    .values(
        person_id=bindparam("remaining"),
        seq=bindparam("becomes"),
        data=bindparam("resealed"),
        origin=case((item.c.origin == "", ""), else_=literal(FOREIGN) + item.c.origin),
        superseded=or_(item.c.superseded, item.c.seq < _STARTED),
    )
)


def append(tx: Tx, people: Merging, open_turn: str) -> None:
    for person_id in (people.merged, people.remaining):
        packed_copies.drop(tx, person_id)
    following = next_seq(tx, people.remaining)
    numbers = count(following)
    own = {"person": people.remaining, "open": open_turn, "before": following}
    others = {"person": people.merged, "open": open_turn, "before": next_seq(tx, people.merged)}
    for rows in _pages(tx, _ENDED, others):
        _move(tx, people, rows, numbers)
    for rows in _pages(tx, _OPEN, own):
        _renumber(tx, people.remaining, rows, numbers)
    for rows in _pages(tx, _OPEN, others):
        _move(tx, people, rows, numbers)


def _pages(tx: Tx, some: Select[Any], those: dict[str, Any]) -> Iterator[Sequence[Row[Any]]]:
    """Yields page after page of the remaining rows. The caller must move each row out of the selection."""
    while rows := tx.execute(some, those | {"limit": PAGE}).all():
        yield rows


def _renumber(tx: Tx, person_id: str, rows: Sequence[Row[Any]], numbers: Iterator[int]) -> None:
    values = [
        {
            "of": person_id,
            "was": row.seq,
            "becomes": seq,
            "resealed": resealed(tx, row.data, _item(person_id, row.seq), _item(person_id, seq)),
        }
        for row, seq in zip(rows, numbers, strict=False)
    ]
    tx.execute(_RENUMBER, values)


def _move(tx: Tx, people: Merging, rows: Sequence[Row[Any]], numbers: Iterator[int]) -> None:
    values = [
        {
            "of": people.merged,
            "was": row.seq,
            "remaining": people.remaining,
            "becomes": seq,
            "resealed": resealed(tx, row.data, _item(people.merged, row.seq), _item(people.remaining, seq)),
        }
        for row, seq in zip(rows, numbers, strict=False)
    ]
    tx.execute(_MOVE, values)


def _item(person_id: str, seq: int) -> OwnedPlace:
    return OwnedPlace(person_id, item_place(person_id, seq))
