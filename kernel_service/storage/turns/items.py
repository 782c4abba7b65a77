"""The items of the history, added by the open turn. The ends of attempts and turns are in closing.py."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, insert, update

from kernel_service.errors import LeaseLost
from kernel_service.ports.messages import Usage
from kernel_service.storage.schema.turns import TURN_OPEN, item, turn
from kernel_service.storage.sealing.ciphers import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.turns import HistoryItem
    from kernel_service.storage.engine.engine import Tx


ITEM_VERSION: Final = 1

_APPEND = insert(item)
_DATA: Final = (item.name, item.c.data.name)
SPENT: Final = {name: turn.c[name] + bindparam(name) for name in asdict(Usage())}
OPEN_TURN: Final = update(turn).where(turn.c.id == bindparam("of"), TURN_OPEN).returning(turn.c.closed, turn.c.stopped)


def of_open_turn(tx: Tx, statement: Any, values: dict[str, Any]) -> Row[Any]:
    """The turn's `closed` and `stopped`. An ended turn is never changed: a process that works on it has lost it."""
    changed = tx.execute(statement, values).one_or_none()
    if changed is None:
        raise LeaseLost
    return changed


def add_items(tx: Tx, person_id: str, turn_id: str, items: Sequence[HistoryItem], now: float, *, start: int) -> None:
    """Add the items, numbered from `start`."""
    if not items:
        return
    seal = tx.cipher_of(person_id).seal_json
    rows = []
    for seq, one in enumerate(items, start):
        row = {
            "person_id": person_id,
            "seq": seq,
            "turn_id": turn_id,
            "kind": one.kind,
            "origin": one.origin,
            "version": ITEM_VERSION,
            "data": seal(one.data, item_place(person_id, seq)),
            "created_at": now,
        }
        rows.append(row)
    tx.execute(_APPEND, rows)


def item_place(person_id: str, seq: int) -> Place:
    return Place(*_DATA, (person_id, seq))


def items_place(person_id: str) -> Place:
    """The place of all data of a person's items, which the number of an item completes."""
    return Place(*_DATA, (person_id,))
