"""What requests to the model may cost, counted before they are made, in the transaction that looks at the budgets.

A row counts for what its request costs as a rule; while it may be under way its headroom counts as well. The write
that says what it cost takes the row away. One that nobody settles in time stays counted, as spent.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from sqlalchemy import Integer, bindparam, delete, func, insert, select, text, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import Busy
from kernel_service.ports.messages import Usage
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.schema import token_reservation
from kernel_service.storage.usage.spending import add_to_day, day_of, spent_today

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.ports.spending import Budgets, Estimate
    from kernel_service.storage.engine.engine import Tx

UNDER_WAY_SECONDS: Final = 180.0
"""Longer than any request takes, and the write that settles it."""
LOST_SECONDS: Final = 3600.0
"""So long after that nobody settles it any more."""
RETRY_SECONDS: Final = 1.0
STEP: Final = 500

_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, :number)")
_SPACE: Final = 0x62756467
"""Other locks of this database have another, or a number alone."""
_RESERVE = insert(token_reservation)
_SETTLE = delete(token_reservation).where(token_reservation.c.id.in_(bindparam("settled", expanding=True)))
# A person has one request under way at a time: what they left behind is so no more.
_LEFT_BEHIND = (
    update(token_reservation)
    .where(token_reservation.c.person_id == bindparam("person"), token_reservation.c.until > bindparam("now"))
    .values(until=bindparam("now"))
)
_UNDER_WAY = select(
    func.count().label("requests"), func.coalesce(func.sum(token_reservation.c.headroom), 0).label("headroom")
).where(token_reservation.c.day == bindparam("day"), token_reservation.c.until > bindparam("now"))
_MOVE = (
    update(token_reservation)
    .where(token_reservation.c.person_id == bindparam("gone"))
    .values(person_id=bindparam("stays"))
)
_LOST = (
    select(token_reservation)
    .where(token_reservation.c.until < bindparam("before"))
    .order_by(token_reservation.c.until)
    .limit(bindparam("limit", type_=Integer))
)


def reserve(tx: Tx, person_id: str, estimate: Estimate, budgets: Budgets, *, anyway: bool, now: float) -> str:
    """The reservation's id. BudgetSpentError, or Busy while requests under way may spend what is left."""
    if budgets.all_people:
        _one_at_a_time(tx, day_of(now))
    tx.execute(_LEFT_BEHIND, {"person": person_id, "now": now})
    if not anyway:
        _check(tx, person_id, estimate, budgets, now)
    row = {
        "id": new_id("tr", now),
        "person_id": person_id,
        "day": day_of(now),
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "headroom": estimate.most - estimate.input_tokens - estimate.output_tokens,
        "until": now + UNDER_WAY_SECONDS,
    }
    tx.execute(_RESERVE, row)
    return str(row["id"])


def _one_at_a_time(tx: Tx, day: int) -> None:
    """Whoever looks at the common budget sees what everybody before them has reserved. SQLite writes one by one."""
    if tx.connection.dialect.name == "postgresql":
        tx.execute(_LOCK, {"space": _SPACE, "number": day})


def _check(tx: Tx, person_id: str, estimate: Estimate, budgets: Budgets, now: float) -> None:
    """A request passes if all that is under way fits with it at its dearest; of a person, or near the end, one does.

    So a budget is passed by one request at most, and nobody is refused for what an answer almost never takes.
    """
    if budgets.per_person and spent_today(tx, person_id, now=now) >= budgets.per_person:
        raise BudgetSpentError
    if not budgets.all_people:
        return
    spent = spent_today(tx, None, now=now)
    under_way = tx.execute(_UNDER_WAY, {"day": day_of(now), "now": now}).one()
    if under_way.requests and spent + int(under_way.headroom) + estimate.most > budgets.all_people:
        raise Busy("model_budget_nearly_spent", RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - not all at once
    if spent >= budgets.all_people:
        raise BudgetSpentError


def settle(tx: Tx, reservations: Sequence[str]) -> None:
    if reservations:
        tx.execute(_SETTLE, {"settled": list(reservations)})


def move(tx: Tx, gone: str, stays: str) -> None:
    tx.execute(_MOVE, {"gone": gone, "stays": stays})


def write_off(tx: Tx, now: float) -> int:
    """Count what nobody has settled as spent; how many reservations that were, STEP at most."""
    rows = tx.execute(_LOST, {"before": now - LOST_SECONDS, "limit": STEP}).all()
    for row in rows:
        cost = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens, model_calls=1)
        add_to_day(tx, row.person_id, cost, row.day * DAY_SECONDS)
    settle(tx, [row.id for row in rows])
    return len(rows)
