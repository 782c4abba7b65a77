"""Deletes history past its retention or its size limit, and people who never came back.

A history is cut at a turn's boundary, so that vendors still accept it, and never while a turn of the person is open. A
person is deleted only if nothing refers to them: no connected account, nothing to answer, send or approve, and no
schedule that runs. A table that is added later and refers to people protects them, too. Of other people who never came
back, only the messages are deleted.
"""

from __future__ import annotations

from itertools import accumulate, takewhile
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, bindparam, case, delete, exists, func, literal, or_, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.turns import COMPACTION, SUMMARY
from kernel_service.storage.keys import packed_copies
from kernel_service.storage.people import leases
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.kernels import kernel, packed_history
from kernel_service.storage.schema.memory import fact
from kernel_service.storage.schema.outbox import invitation
from kernel_service.storage.schema.people import alias, person
from kernel_service.storage.schema.schedules import schedule
from kernel_service.storage.schema.schema import metadata
from kernel_service.storage.schema.turns import TURN_OPEN, item, turn
from kernel_service.storage.schema.usage import tool_usage, usage
from kernel_service.storage.usage.spending import day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Row

    from kernel_service.ports.retention import RetentionPolicy
    from kernel_service.storage.engine.engine import Engine, Tx

PEOPLE: Final = 200
"""People per transaction."""
STEP: Final = 500
"""Items of one person that are deleted at once; the rest follows in the next pass, an hour later."""

_THEIRS: Final = (item, packed_history, tool_usage, usage, invitation, schedule, fact, alias, kernel)
"""Tables whose rows are deleted with a person, in this order."""


def _referring() -> Iterator[Any]:
    """Each column of another table that references a person."""
    for table in metadata.sorted_tables:
        if table not in _THEIRS:
            yield from (key.parent for key in table.foreign_keys if key.column is person.c.id)


_last_day = select(func.max(usage.c.day)).where(usage.c.person_id == person.c.id).correlate(person).scalar_subquery()
_oldest = (
    select(item.c.created_at)
    .where(item.c.person_id == person.c.id)
    .order_by(item.c.seq)
    .limit(1)
    .correlate(person)
    .scalar_subquery()
)
_PAGE = (
    select(person.c.id, person.c.created_at, _last_day.label("last_day"), _oldest.label("oldest"))
    .where(person.c.id > bindparam("after"), person.c.merged_into.is_(None), person.c.deleted_at.is_(None))
    .order_by(person.c.id)
    .limit(bindparam("limit", type_=Integer))
)
_BYTES = select(func.coalesce(func.sum(func.length(item.c.data)), 0)).where(item.c.person_id == bindparam("person"))
_OLDEST = (
    select(item.c.seq, item.c.turn_id, item.c.created_at, func.length(item.c.data).label("bytes"))
    .where(item.c.person_id == bindparam("person"))
    .order_by(item.c.seq)
    .limit(bindparam("limit", type_=Integer))
)
_END_OF_TURN = select(func.max(item.c.seq)).where(
    item.c.person_id == bindparam("person"), item.c.turn_id == bindparam("of")
)
_IN_A_TURN = select(exists().where(turn.c.person_id == bindparam("person"), TURN_OPEN))
_CUT = delete(item).where(item.c.person_id == bindparam("person"), item.c.seq <= bindparam("last"))
_first: Final = bindparam("last", type_=BigInteger) + 1
# It always locks the lease: a kernel that is activated meanwhile would pack the deleted items.
_BEGINS = (
    update(kernel)
    .where(kernel.c.person_id == bindparam("person"))
    .values(context_start=case((kernel.c.context_start < _first, _first), else_=kernel.c.context_start))
)
_FORGET_SUMMARIES = delete(item).where(
    item.c.person_id == bindparam("person"), item.c.kind.in_((literal(COMPACTION), literal(SUMMARY)))
)
"""Each may contain the content of items that are past their retention."""
# In the order of every other transaction: the ids, the lease, the person.
_LOCKS = [
    select(column).where(whose == bindparam("person")).with_for_update()
    for column, whose in (
        (alias.c.digest, alias.c.person_id),
        (kernel.c.epoch, kernel.c.person_id),
        (person.c.id, person.c.id),
    )
]
_NEEDED = select(
    or_(
        *(exists().where(column == bindparam("person")) for column in _referring()),
        exists().where(person.c.merged_into == bindparam("person")),
        # A paused one is deleted with them.
        exists().where(schedule.c.person_id == bindparam("person"), schedule.c.next_due_at.is_not(None)),
    )
)
_WROTE = select(exists().where(message.c.person_id == bindparam("person")))
_FORGET = [delete(table).where(table.c.person_id == bindparam("person")) for table in _THEIRS]
_FORGET_PERSON = delete(person).where(person.c.id == bindparam("person"))


async def forget_people(engine: Engine, policy: RetentionPolicy, *, now: float) -> int:
    """One pass over all people; returns how many items and people were deleted."""
    after: str | None = ""
    forgotten = 0
    while policy and after is not None:
        after, count = await engine.write(_step(policy, after, now))
        forgotten += count
    return forgotten


def _step(policy: RetentionPolicy, after: str, now: float) -> Callable[[Tx], tuple[str | None, int]]:
    """Returns a step over the next people: where to continue (None: those were the last), and how much was deleted."""

    def step(tx: Tx) -> tuple[str | None, int]:
        rows = tx.execute(_PAGE, {"after": after, "limit": PEOPLE}).all()
        forgotten = sum(_forget_of(tx, row, policy, now) for row in rows)
        return (rows[-1].id if len(rows) == PEOPLE else None), forgotten

    return step


def _forget_of(tx: Tx, row: Row[Any], policy: RetentionPolicy, now: float) -> int:
    last_day = row.last_day or 0
    last_seen = max(row.created_at, last_day * DAY_SECONDS)
    if policy.inactive_days and last_seen < now - policy.inactive_days * DAY_SECONDS:
        return _forget(tx, row.id)
    forgotten = 0
    if policy.history_days and row.oldest is not None:
        forgotten = _cut_older(tx, row.id, row.oldest, (day_of(now) - policy.history_days) * DAY_SECONDS)
    if policy.history_bytes and last_day >= day_of(now) - 1:  # otherwise it has not grown since the last check
        excess = int(tx.execute(_BYTES, {"person": row.id}).scalar_one()) - policy.history_bytes
        forgotten += _cut_bytes(tx, row.id, excess) if excess > 0 else 0
    return forgotten


def _forget(tx: Tx, person_id: str) -> int:
    """Holds the person's locks: a concurrent message waits for them, and then belongs to a new person."""
    for lock in _LOCKS:
        tx.execute(lock, {"person": person_id})
    if tx.execute(_WROTE, {"person": person_id}).scalar_one():
        return 0
    if tx.execute(_NEEDED, {"person": person_id}).scalar_one():
        return _cut_all(tx, person_id)
    for statement in _FORGET:
        tx.execute(statement, {"person": person_id})
    return tx.execute(_FORGET_PERSON, {"person": person_id}).rowcount


def _cut_older(tx: Tx, person_id: str, oldest: float, before: float) -> int:
    if oldest >= before:
        return 0
    rows = _oldest_items(tx, person_id)
    count = sum(row.created_at < before for row in rows)
    cut = _cut(tx, person_id, rows, count if count == len(rows) < STEP else _whole_turns(rows, count))
    if cut:  # the items since are shown again instead, also by a kernel that has a summary in memory
        tx.execute(_FORGET_SUMMARIES, {"person": person_id})
        leases.outdate(tx, person_id)
    return cut


def _cut_all(tx: Tx, person_id: str) -> int:
    rows = _oldest_items(tx, person_id)
    return _cut(tx, person_id, rows, len(rows) if len(rows) < STEP else _whole_turns(rows, STEP))


def _cut_bytes(tx: Tx, person_id: str, excess: int) -> int:
    """Delete turns until there is room, but never the newest one."""
    rows = _oldest_items(tx, person_id)
    freed = list(accumulate((row.bytes for row in rows), initial=0))[:-1]
    count = sum(each < excess for each in freed)
    while 0 < count < len(rows) and rows[count].turn_id == rows[count - 1].turn_id:
        count += 1
    return _cut(tx, person_id, rows, _whole_turns(rows, count))


def _oldest_items(tx: Tx, person_id: str) -> Sequence[Row[Any]]:
    return tx.execute(_OLDEST, {"person": person_id, "limit": STEP}).all()


def _whole_turns(rows: Sequence[Row[Any]], count: int) -> int:
    """How many of the first `count` items belong to turns that end among them. The end of the last turn is unknown."""
    cut = rows[count].turn_id if count < len(rows) else rows[-1].turn_id
    return sum(1 for _ in takewhile(lambda row: row.turn_id != cut, rows[:count]))


def _cut(tx: Tx, person_id: str, rows: Sequence[Row[Any]], count: int) -> int:
    if not rows or tx.execute(_IN_A_TURN, {"person": person_id}).scalar_one():
        return 0
    if count:
        last = rows[count - 1].seq
    elif len(rows) == STEP and rows[0].turn_id == rows[-1].turn_id:  # a turn that is longer than a step
        last = tx.execute(_END_OF_TURN, {"person": person_id, "of": rows[0].turn_id}).scalar_one()
    else:
        return 0
    tx.execute(_BEGINS, {"person": person_id, "last": last})
    packed_copies.drop(tx, person_id)
    return tx.execute(_CUT, {"person": person_id, "last": last}).rowcount
