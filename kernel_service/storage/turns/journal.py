"""The journal: a person's history as items, appended step by step. How attempts and turns end is in close.py."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, delete, insert, select, true, update

from kernel_service.errors import LeaseLost
from kernel_service.kernels.history import WINDOW_BYTES
from kernel_service.ports.messages import Usage
from kernel_service.ports.turns import Activation, HistoryItem
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.schema.schema import TURN_OPEN, item, tool_call, turn
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.turns import waiting
from kernel_service.storage.turns.context import CONTEXT_START, next_seq, tokens_of
from kernel_service.storage.usage import spending
from kernel_service.storage.usage.paying import pay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Row

    from kernel_service.ports.turns import CallRecord, ToolUse, Turn
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.sealing.ciphers import Place

log = logging.getLogger(__name__)

ITEM_VERSION: Final = 1
PAGE: Final = 200
"""Items read at once: the whole history of a chatty person would be read for its recent end alone."""

_NEWEST = (
    select(item.c.seq, item.c.turn_id, item.c.kind, item.c.origin, item.c.data)
    .where(
        item.c.person_id == bindparam("person"),
        item.c.seq < bindparam("before"),
        item.c.seq >= CONTEXT_START,
        ~item.c.superseded,
    )
    .order_by(item.c.seq.desc())
    .limit(bindparam("limit", type_=Integer))
)
_PAST_ALL = 2**63 - 1
_APPEND = insert(item)
_START = insert(tool_call)
_CLOSE = update(turn).where(turn.c.id == bindparam("of")).values(closed=true())
_FINISH = delete(tool_call).where(
    tool_call.c.person_id == bindparam("person"), tool_call.c.call_id == bindparam("call")
)
SPENT: Final = {name: turn.c[name] + bindparam(name) for name in asdict(Usage())}
OPEN_TURN: Final = update(turn).where(turn.c.id == bindparam("of"), TURN_OPEN)
_SPENT_ALONE = OPEN_TURN.values(**SPENT)
_PROGRESS = OPEN_TURN.values(begun=true(), attempts=0, crash_count=0, crashes_alone=0, **SPENT)


def activate(tx: Tx, person_id: str, *, owner: str) -> Activation:
    epoch = leases.take(tx, person_id, owner)
    recent = list(_recent(tx, person_id))[::-1]
    damaged = {row.turn_id for row, data in recent if data is None}
    if damaged:
        log.error("alert: history damaged, left out turns=%s person=%s", ",".join(sorted(damaged)), person_id)
        damage.leave_out(tx, person_id, damaged)
    history = [HistoryItem(row.kind, data, row.origin) for row, data in recent if data and row.turn_id not in damaged]
    return Activation(person_id, epoch, history, tokens_of(tx, person_id))


def _recent(tx: Tx, person_id: str) -> Iterator[tuple[Row[Any], dict[str, Any] | None]]:
    """Newest first, as far back as a turn looks; a turn cuts it where a message begins. None: it is damaged."""
    before, size = _PAST_ALL, 0
    while rows := tx.execute(_NEWEST, {"person": person_id, "before": before, "limit": PAGE}).all():
        for row in rows:
            yield row, damage.object_of(tx, person_id, row.data, item_place(person_id, row.seq))
            size += len(row.data)
        if len(rows) < PAGE or size > WINDOW_BYTES:
            return
        before = rows[-1].seq


def append(
    tx: Tx,
    record: Turn,
    epoch: int,
    items: Sequence[HistoryItem],
    *,
    usage: Usage,
    finished: str,
    started: CallRecord | None,
    used: ToolUse | None,
    settles: Sequence[str] = (),
    now: float,
) -> None:
    leases.fence(tx, record.person_id, epoch)
    if started is not None:
        _intend(tx, record, started)
    if finished:
        tx.execute(_FINISH, {"person": record.person_id, "call": finished})
    add_items(tx, record, items, now)
    of_open_turn(tx, _PROGRESS, {"of": record.id, **asdict(usage)})
    pay(tx, record.person_id, usage, settles, now)
    if used is not None:
        spending.add_use(tx, record.person_id, used, now)


def count(tx: Tx, record: Turn, epoch: int, *, usage: Usage, settles: Sequence[str], now: float) -> None:
    leases.fence(tx, record.person_id, epoch)
    of_open_turn(tx, _SPENT_ALONE, {"of": record.id, **asdict(usage)})
    pay(tx, record.person_id, usage, settles, now)


def _intend(tx: Tx, record: Turn, started: CallRecord) -> None:
    """The point of no return: whoever writes from here on waits for the next turn."""
    waiting.interrupt(tx, record)
    if not record.closed:
        tx.execute(_CLOSE, {"of": record.id})
    tx.execute(_START, {"person_id": record.person_id, "turn_id": record.id, **asdict(started)})


def of_open_turn(tx: Tx, statement: Any, values: dict[str, Any]) -> None:
    """A turn that has ended is not touched again: who still works on it has lost it."""
    if not tx.execute(statement, values).rowcount:
        raise LeaseLost


def add_items(tx: Tx, record: Turn, items: Sequence[HistoryItem], now: float) -> None:
    if not items:
        return
    cipher = tx.cipher_of(record.person_id)
    rows = [
        {
            "person_id": record.person_id,
            "seq": seq,
            "turn_id": record.id,
            "kind": one.kind,
            "origin": one.origin,
            "version": ITEM_VERSION,
            "data": cipher.seal_json(one.data, item_place(record.person_id, seq)),
            "created_at": now,
        }
        for seq, one in enumerate(items, start=next_seq(tx, record.person_id))
    ]
    tx.execute(_APPEND, rows)


def item_place(person_id: str, seq: int) -> Place:
    return place(item.c.data, person_id, seq)
