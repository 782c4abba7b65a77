"""The end of a person's history, as far back as a turn looks. Each kernel starts with it, so an item costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Integer, and_, bindparam, case, literal, null, select

from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.ports.turns import REASONING, HistoryItem
from kernel_service.storage.keys import damage
from kernel_service.storage.schema.turns import item
from kernel_service.storage.turns.context import CONTEXT_START
from kernel_service.storage.turns.items import item_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.storage.engine.engine import Tx

PAGE: Final = 200
"""Items per read, since only the recent end of a long history is needed."""

_READ = case((and_(item.c.kind == literal(REASONING), item.c.turn_id != bindparam("open")), null()), else_=item.c.data)
_NEWEST = (
    select(item.c.seq, item.c.turn_id, item.c.kind, item.c.origin, _READ.label("data"))
    .where(
        item.c.person_id == bindparam("person"),
        item.c.seq < bindparam("before"),
        item.c.seq >= CONTEXT_START,
        ~item.c.superseded,
    )
    .order_by(item.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_PAST_ALL: Final = 2**63 - 1


class RecentItem(NamedTuple):
    """`item` is None if it is damaged."""

    turn_id: str
    item: HistoryItem | None


def recent_items(tx: Tx, person_id: str, open_turn: str) -> Iterator[RecentItem]:
    """Newest first. Reasoning comes without its data, unless it is of the open turn: the model is not shown it again.

    A turn starts its context at a message.
    """
    before, size = _PAST_ALL, 0
    selected = {"person": person_id, "open": open_turn, "limit": PAGE}
    while rows := tx.execute(_NEWEST, selected | {"before": before}).all():
        cipher = tx.cipher_of(person_id)
        for row in rows:
            data: dict[str, Any] | None = {}
            if row.data is not None:
                data = damage.object_in(cipher, row.data, item_place(person_id, row.seq)) or None
                size += len(row.data)
            yield RecentItem(row.turn_id, None if data is None else HistoryItem(row.kind, data, row.origin))
        if len(rows) < PAGE or size > WINDOW_BYTES:
            return
        before = rows[-1].seq
