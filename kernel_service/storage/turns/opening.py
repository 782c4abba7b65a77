"""Opens turns: a new one for waiting messages, or the open one again, joined by messages that arrived meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, exists, func, insert, select, update

from kernel_service.errors import StoreUnavailable
from kernel_service.ports.commands import UNPROMPTED, Command
from kernel_service.ports.messages import MessageStatus, ReplyMode, Usage
from kernel_service.ports.payloads import Payload, Unsupported
from kernel_service.ports.states.message import OPEN
from kernel_service.ports.turns import CallRecord, Quarantined, Turn, TurnMessage, TurnPlacement, TurnStatus
from kernel_service.storage.connections import connections
from kernel_service.storage.inbox.sent_order import SENT_ORDER
from kernel_service.storage.keys import damage, message_ids
from kernel_service.storage.people import facts, leases, time_zones
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.inbox import MESSAGE_OPEN, message
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.service import node
from kernel_service.storage.schema.transitions import is_one_of
from kernel_service.storage.schema.turns import TURN_OPEN, TURN_USAGE, item, tool_call, turn
from kernel_service.storage.schema.usage import usage
from kernel_service.storage.sealing.ciphers import place
from kernel_service.storage.turns import waiting
from kernel_service.storage.turns.standing import WAITS
from kernel_service.storage.turns.waiting import MAX_MEMBERS
from kernel_service.storage.usage.spending import day_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.turns import NextTurn
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

QUARANTINED_FROM: Final = 2
"""A turn with this many crashes is quarantined: that many are unlikely to be a coincidence."""

_of_day = (usage.c.person_id == bindparam("person"), usage.c.day == bindparam("day"))
_open_of_person = (turn.c.person_id == bindparam("person"), TURN_OPEN)
# The lease once for each waiting message, and once if none waits.
_DUE = (
    select(
        kernel.c.epoch,
        kernel.c.owner,
        *time_zones.COLUMNS,
        select(usage.c.replies).where(*_of_day).scalar_subquery().label("replies"),
        select(usage.c.fixed_replies).where(*_of_day).scalar_subquery().label("fixed_replies"),
        select(turn.c.id).where(*_open_of_person).scalar_subquery().label("open_turn"),
        exists().where(connection.c.person_id == bindparam("person")).label("has_connections"),
        facts.HAS_FACTS.label("has_facts"),
        message,
    )
    .select_from(kernel.outerjoin(message, WAITS))
    .where(kernel.c.person_id == bindparam("person"))
    .order_by(*SENT_ORDER)
    .limit(MAX_MEMBERS)
    .with_for_update(read=True, of=kernel)
)
_OPEN = select(
    turn.c.id,
    turn.c.status,
    turn.c.not_before,
    turn.c.begun,
    turn.c.attempts,
    turn.c.crash_count,
    turn.c.crashes_alone,
    turn.c.attempt_owner,
    exists().where(node.c.id == turn.c.attempt_owner).label("attempt_owner_lives"),
    turn.c.attempt_alone,
    turn.c.holds,
    turn.c.joins,
    turn.c.closed,
    turn.c.stopped,
    turn.c.told_busy,
    turn.c.started_at,
    *TURN_USAGE,
).where(*_open_of_person)
_AGAIN = (
    update(turn)
    .where(turn.c.id == bindparam("of"), TURN_OPEN)
    .values(
        status=TurnStatus.RUNNING.value,
        not_before=None,
        attempt_owner=bindparam("by"),
        attempt_alone=bindparam("runs_alone"),
        crash_count=bindparam("crashed"),
        crashes_alone=bindparam("crashed_alone"),
        joins=bindparam("joined"),
        begun=bindparam("has_begun"),
    )
)
_UNHOLD = (
    update(message)
    .where(message.c.turn_id == bindparam("of"), is_one_of(message.c.status, OPEN))
    .values(status=MessageStatus.ACCEPTED.value)
)
_MEMBERS = select(message).where(message.c.turn_id == bindparam("turn")).order_by(*SENT_ORDER)
_INTENTS = (
    select(tool_call.c.call_id, tool_call.c.tool, tool_call.c.started_at)
    .where(tool_call.c.person_id == bindparam("person"), tool_call.c.turn_id == bindparam("turn"))
    .order_by(tool_call.c.started_at, tool_call.c.call_id)
)
_BEGIN = insert(turn)
_JOIN = (
    update(message)
    .where(message.c.seq.in_(bindparam("members", expanding=True)), MESSAGE_OPEN, message.c.turn_id.is_(None))
    .values(turn_id=bindparam("joined"))
)
_earlier = item.alias("earlier")
_LAST_OF_EARLIER = (
    select(_earlier.c.seq)
    .where(_earlier.c.person_id == bindparam("person"), _earlier.c.turn_id != bindparam("of"))
    .order_by(_earlier.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
# The open turn's items come last, so the statement does not scan a long history.
_SUPERSEDE = (
    update(item)
    .where(
        item.c.person_id == bindparam("person"),
        item.c.seq > func.coalesce(_LAST_OF_EARLIER, 0),
        item.c.turn_id == bindparam("of"),
        ~item.c.superseded,
    )
    .values(superseded=True)
)


def open_expected(tx: Tx, person_id: str, turn_id: str, seq: int, epoch: int, *, now: float, debounce: float) -> None:
    """Open the turn of this message if it is due and the first that waits, else do nothing.

    A message that came just after it joins the turn.
    """
    rows = tx.execute(_DUE, {"person": person_id, "day": day_of(now)})
    if not rows:
        return
    first = rows[0]
    if first.seq != seq or first.epoch != epoch or first.open_turn is not None:
        return
    if waiting.gathered_at([first], debounce) <= now:
        _open_new(tx, turn_id, first, [first], now)


def due(tx: Tx, person_id: str, epoch: int, *, now: float, debounce: float, placement: TurnPlacement) -> NextTurn:
    rows = tx.execute(_DUE, {"person": person_id, "day": day_of(now)}).all()
    lease = leases.own(rows[0] if rows else None, epoch)
    found: NextTurn
    if lease.open_turn is None:
        found = _begin(tx, lease, [row for row in rows if row.seq is not None], now, debounce)
    else:
        found = _resume(tx, person_id, str(lease.owner), now=now, debounce=debounce, placement=placement)
    if isinstance(found, Turn):
        found.time_zone = time_zones.of_row(tx, person_id, lease)
        found.has_facts = bool(lease.has_facts)
        found.person_waits = any(row.seq is not None and row.command not in UNPROMPTED for row in rows)
        found.replied, found.replied_fixed = lease.replies or 0, lease.fixed_replies or 0
        found.connections = connections.of_person(tx, person_id) if lease.has_connections else ()
    return found


def _resume(tx: Tx, person_id: str, owner: str, *, now: float, debounce: float, placement: TurnPlacement) -> NextTurn:
    row = tx.execute(_OPEN, {"person": person_id}).one()
    if not row.stopped and row.not_before is not None and row.not_before > now:
        return float(row.not_before)
    again = _as_it_stands(tx, person_id, row, owner)
    if again.crash_count >= QUARANTINED_FROM and placement is TurnPlacement.BESIDE and not again.stopped:
        return Quarantined(again.crash_count, again.crashes_alone)
    # The attempt was not ended by a joining message, and a restart loses nothing of it.
    restarts = not row.begun and row.attempt_owner != owner
    joining = _joining(tx, again, now, restarts=restarts)
    if joining and (ready := waiting.gathered_at(joining, debounce)) > now:
        return ready
    if joining:
        _join(tx, again, joining, restarts=restarts)
    _open_again(tx, again, row, owner, placement)
    return again


def _as_it_stands(tx: Tx, person_id: str, row: Row[Any], owner: str) -> Turn:
    members = tx.execute(_MEMBERS, {"turn": row.id}).all()
    intents = tx.execute(_INTENTS, {"person": person_id, "turn": row.id})
    crashed = row.attempt_owner not in ("", owner) and not row.attempt_owner_lives
    return Turn(
        id=row.id,
        person_id=person_id,
        messages=_opened(tx, person_id, members),
        begun=row.begun,
        attempt_count=row.attempts,
        crash_count=row.crash_count + crashed,
        crashes_alone=row.crashes_alone + (crashed and row.attempt_alone),
        holds=row.holds,
        joins=row.joins,
        closed=row.closed,
        stopped=row.stopped,
        told_busy=row.told_busy,
        started_at=row.started_at,
        usage=Usage(*row[-len(TURN_USAGE) :]),
        intents=[CallRecord(row.call_id, row.tool, row.started_at) for row in intents],
    )


def _joining(tx: Tx, record: Turn, now: float, *, restarts: bool) -> list[Row[Any]]:
    if record.stopped or not (waiting.has_room(record) if restarts else waiting.may_be_joined(record)):
        return []
    return waiting.complete(waiting.joinable(waiting.waiting(tx, record.person_id), waiting.route_of(record)), now)


def _join(tx: Tx, record: Turn, joining: Sequence[Row[Any]], *, restarts: bool) -> None:
    """The new messages are sorted among the turn's messages by send time. The turn's journal is superseded."""
    _take(tx, joining, record.id)
    record.messages += _opened(tx, record.person_id, joining)
    record.messages.sort(key=lambda one: (one.sent_at, one.seq))
    record.joins += not restarts
    record.begun = False
    record.dropped = supersede(tx, record)


def supersede(tx: Tx, record: Turn) -> int:
    """Remove the turn's journal from the history; return how many items that were."""
    return tx.execute(_SUPERSEDE, {"person": record.person_id, "of": record.id}).rowcount


def _open_again(tx: Tx, record: Turn, row: Row[Any], owner: str, placement: TurnPlacement) -> None:
    again = {
        "of": record.id,
        "by": owner,
        "runs_alone": placement is TurnPlacement.ALONE,
        "crashed": record.crash_count,
        "crashed_alone": record.crashes_alone,
        "joined": record.joins,
        "has_begun": record.begun,
    }
    tx.execute(_AGAIN, again)
    if row.status == TurnStatus.HELD:
        tx.execute(_UNHOLD, {"of": record.id})


def _take(tx: Tx, members: Sequence[Row[Any]], turn_id: str) -> None:
    """Raises `StoreUnavailable` if a "stop" took one of them back while this unit waited for the lease."""
    taken = {"members": [row.seq for row in members], "joined": turn_id}
    if tx.execute(_JOIN, taken).rowcount != len(members):
        raise StoreUnavailable


def _begin(
    tx: Tx, lease: Row[Any], waiting_now: Sequence[Row[Any]], now: float, debounce: float
) -> Turn | float | None:
    members = waiting.together(waiting_now)
    if not members:
        return None
    ready = waiting.gathered_at(members, debounce)
    if ready > now:
        return ready
    turn_id, person_id = new_id("t", now), members[0].person_id
    _open_new(tx, turn_id, lease, members, now)
    return Turn(
        turn_id,
        person_id,
        _opened(tx, person_id, members),
        begun=False,
        closed=members[0].alone,
        started_at=now,
    )


def _open_new(tx: Tx, turn_id: str, lease: Row[Any], members: Sequence[Row[Any]], now: float) -> None:
    row = {
        "id": turn_id,
        "person_id": members[0].person_id,
        "status": TurnStatus.RUNNING.value,
        "started_at": now,
        "attempt_owner": lease.owner,
        "closed": members[0].alone,
    }
    tx.execute(_BEGIN, row)
    _take(tx, members, turn_id)


def _opened(tx: Tx, person_id: str, rows: Sequence[Row[Any]]) -> list[TurnMessage]:
    return [
        TurnMessage(
            row.seq,
            message_ids.opened(tx, row),
            row.channel,
            row.address,
            _payload(tx, person_id, row),
            row.accepted_at,
            ReplyMode(row.reply_mode),
            Command(row.command),
            row.sent_at,
        )
        for row in rows
    ]


def _payload(tx: Tx, person_id: str, row: Row[Any]) -> Payload:
    """The payload. A damaged message is requested again, like one that arrived incomplete."""
    payload = damage.payload_of(tx, person_id, row.payload, place(message.c.payload, row.seq))
    if payload is None:
        log.error("alert: message damaged seq=%d person=%s", row.seq, person_id)
    return payload or Payload(Unsupported("unavailable"))
