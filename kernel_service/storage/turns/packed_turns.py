"""The ended turns of a history in one sealed value, so that a kernel is activated without each of its items.

It is a copy, and the items remain the journal. The transaction that activates a kernel writes it, once enough items of
ended turns have been added since, without those that are too old to be shown. It is valid for one model and one start
of the context. A write that changes or deletes one of its items drops it (`packed_copies`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select, update

from kernel_service.errors import Unreadable
from kernel_service.kernels.ended_turns import EndedTurns
from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.ports.kernels import NO_TURNS, PackedTurns
from kernel_service.storage.schema.kernels import packed_history
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.turns.context import CONTEXT_START
from kernel_service.storage.turns.recent_items import readable_items, recent_items

if TYPE_CHECKING:
    from kernel_service.ports.turns import HistoryItem
    from kernel_service.storage.engine.engine import Tx

FORM: Final = 1
"""The version of the value. Raised also if `EndedTurns` shows other items, or the same ones differently."""
FEWEST: Final = 32
"""Later items that are read one by one. Packing 50 turns costs as much as reading this many."""
_SHARE: Final = 8
"""A long history is packed again once it has grown by this part, so that each item is packed a few times in all."""

_mine = packed_history.c.person_id == bindparam("person")
_FIND = select(packed_history.c.last_item, packed_history.c.data).where(
    _mine,
    packed_history.c.model == bindparam("shown_to"),
    packed_history.c.form == FORM,
    packed_history.c.context_start == CONTEXT_START,
)
_VALUES = {
    "model": bindparam("shown_to"),
    "form": FORM,
    "context_start": CONTEXT_START,
    "last_item": bindparam("last"),
    "data": bindparam("sealed"),
}
_REPLACE = update(packed_history).where(_mine).values(_VALUES)
_ADD = insert(packed_history).values(_VALUES | {"person_id": bindparam("person")})


class Recalled(NamedTuple):
    """The packed turns, and the items since, oldest first. The last `open_items` are of the open turn."""

    packed: PackedTurns
    items: list[HistoryItem]
    open_items: int


def recall(tx: Tx, person_id: str, model: str) -> Recalled:
    """The person's history for this model. The caller has locked the lease."""
    packed, last = stored(tx, person_id, model)
    recent = recent_items(tx, person_id, model, after=last)
    if recent.damaged:
        packed, recent = NO_TURNS, readable_items(tx, person_id, model)
    ended = recent.items[: len(recent.items) - recent.open_items]
    if len(ended) < max(FEWEST, len(packed.outline) // _SHARE):
        return Recalled(packed, recent.items, recent.open_items)
    packed = EndedTurns(model, *packed).followed_by(ended).recent(WINDOW_BYTES).packed
    keep(tx, person_id, model, packed, last=recent.last_ended)
    return Recalled(packed, recent.items[len(ended) :], recent.open_items)


def stored(tx: Tx, person_id: str, model: str) -> tuple[PackedTurns, int]:
    """The packed turns, and the number of their last item. Nothing, and 0: there are none that are valid."""
    row = tx.execute(_FIND, {"person": person_id, "shown_to": model}).one_or_none()
    if row is None:
        return NO_TURNS, 0
    cipher = tx.cipher_of(person_id)
    try:
        return _unpacked(cipher.open(row.data, place(packed_history.c.data, person_id))), row.last_item
    except Unreadable:  # the items are read instead
        return NO_TURNS, 0


def keep(tx: Tx, person_id: str, model: str, packed: PackedTurns, *, last: int) -> None:
    """Store the turns up to the item of that number, from the start of the context."""
    sealed = tx.cipher_of(person_id).seal(_packed(packed), place(packed_history.c.data, person_id))
    row = {"person": person_id, "shown_to": model, "last": last, "sealed": sealed}
    if not tx.execute(_REPLACE, row).rowcount:
        tx.execute(_ADD, row)


def _packed(turns: PackedTurns) -> bytes:
    """A line of JSON (outline, tokens, sizes of the segments), and the segments."""
    sizes = [len(segment) for segment in turns.segments]
    return orjson.dumps((turns.outline.decode(), turns.tokens, sizes)) + b"\n" + b"".join(turns.segments)


def _unpacked(plain: bytes) -> PackedTurns:
    head, _, rest = plain.partition(b"\n")
    outline, tokens, sizes = orjson.loads(head)
    segments, at = [], 0
    for size in sizes:
        segments.append(rest[at : at + size])
        at += size
    return PackedTurns(outline.encode(), tokens, tuple(segments))
