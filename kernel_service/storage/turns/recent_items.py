"""The end of a person's history, as far back as a turn needs. Each kernel starts with it, so an item costs little."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from sqlalchemy import Integer, and_, bindparam, case, func, literal, not_, null, select, type_coerce

from kernel_service.errors import Unreadable
from kernel_service.kernels.compaction import replaces_earlier
from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.ports.turns import REASONING, HistoryItem
from kernel_service.storage.keys import damage
from kernel_service.storage.schema.turns import TURN_OPEN, item, turn
from kernel_service.storage.turns.context import CONTEXT_START
from kernel_service.storage.turns.items import items_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

PAGE: Final = 200
"""Items per read, since only the recent end of a long history is needed."""

_OPEN_TURN = select(turn.c.id).where(turn.c.person_id == bindparam("person"), TURN_OPEN).scalar_subquery()
_IS_OPEN = type_coerce(item.c.turn_id == func.coalesce(_OPEN_TURN, ""), Integer)  # a number on SQLite: not converted
_IS_OPAQUE = and_(item.c.kind == literal(REASONING), item.c.origin != bindparam("model"))
_READ = case((and_(_IS_OPAQUE, not_(_IS_OPEN)), null()), else_=item.c.data)
_NEWEST = (
    select(item.c.seq, _IS_OPEN.label("is_open"), item.c.kind, item.c.origin, _READ.label("data"))
    .where(
        item.c.person_id == bindparam("person"),
        item.c.seq < bindparam("before"),
        item.c.seq > bindparam("after"),
        item.c.seq >= CONTEXT_START,
        ~item.c.superseded,
    )
    .order_by(item.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_TURNS = (
    select(item.c.turn_id)
    .where(item.c.person_id == bindparam("person"), item.c.seq.in_(bindparam("items", expanding=True)))
    .distinct()
    .order_by(item.c.turn_id)
)
_PAST_ALL: Final = 2**63 - 1


class Recent(NamedTuple):
    """Oldest first. The last `open_items` are of the open turn. `last_ended` is the number of the item before those.

    `damaged` are the numbers of items that do not open, at most a page of them. If there are any, the rest is not read.
    """

    items: list[HistoryItem]
    open_items: int
    damaged: list[int]
    last_ended: int


def readable_items(tx: Tx, person_id: str, model: str) -> Recent:
    """The recent items, without the turns of which an item is damaged. An operator is alerted."""
    recent = recent_items(tx, person_id, model)
    while recent.damaged:
        turns = _turns_of(tx, person_id, recent.damaged)
        log.error("alert: history damaged, left out turns=%s person=%s", ",".join(turns), person_id)
        damage.leave_out(tx, person_id, turns)
        recent = recent_items(tx, person_id, model)
    return recent


def recent_items(tx: Tx, person_id: str, model: str, *, after: int = 0) -> Recent:
    """Back to the newest item that the model is shown instead of those before it, unless it is of the open turn.

    `after`: only items of a higher number. All of them are read, so that they join what is packed.

    Reasoning of ended turns that no model is shown again comes without its data: that of another model, and that before
    the last answer of a turn (see `EndedTurns`).
    """
    before, size, open_items, last_ended = _PAST_ALL, 0, 0, 0
    items: list[HistoryItem] = []
    damaged: list[int] = []
    begins = leads = False
    while rows := _page(tx, person_id, before, after, model):
        opened = tx.cipher_of(person_id).opener(items_place(person_id))
        for seq, is_open, kind, origin, sealed in rows:
            data: dict[str, Any] = {}
            if sealed is not None:
                size += len(sealed)
                if leads or is_open or kind != REASONING:
                    data = _object(opened, sealed, seq)
                    if not data:
                        damaged.append(seq)
            items.append(HistoryItem(kind, data, origin))
            if is_open:
                open_items += 1
                continue
            last_ended = last_ended or seq
            if kind in {"input", "result"}:
                leads = kind == "result"
            elif begins := replaces_earlier(kind, origin, model):
                break
        if begins or damaged or len(rows) < PAGE or (size > WINDOW_BYTES and not after):
            break
        before = rows[-1].seq
    items.reverse()
    return Recent(items, open_items, damaged, last_ended)


def _page(tx: Tx, person_id: str, before: int, after: int, model: str) -> Sequence[Any]:
    """The newest items between those two numbers."""
    these = {"person": person_id, "limit": PAGE, "before": before, "after": after, "model": model}
    return tx.execute(_NEWEST, these).all()


def _turns_of(tx: Tx, person_id: str, items: Sequence[int]) -> list[str]:
    """The ids of the turns of these items, in order."""
    return tx.execute(_TURNS, {"person": person_id, "items": items}).scalars().all()


def _object(opened: Callable[[bytes, int], bytes], sealed: bytes, seq: int) -> dict[str, Any]:
    """The JSON object; empty: it is damaged, or another value."""
    try:
        value = orjson.loads(opened(sealed, seq))
    except (Unreadable, orjson.JSONDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
