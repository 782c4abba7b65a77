"""The possible cost of model requests, reserved in the transaction that checks the budgets.

A reservation counts with the typical cost of its request, and with its headroom too while the request may be in
progress. The write of the actual cost deletes it. A reservation that is not settled in time is counted as spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Integer, bindparam, delete, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.messages import Usage
from kernel_service.storage.schema.usage import token_reservation
from kernel_service.storage.usage.spending import add_to_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx

UNDER_WAY_SECONDS: Final = 180.0
"""Longer than any request and the write that settles it."""
LOST_SECONDS: Final = 3600.0
"""After this time no write settles the reservation any longer."""
STEP: Final = 500

_SETTLE = delete(token_reservation).where(token_reservation.c.id.in_(bindparam("settled", expanding=True)))
_MOVE = (
    update(token_reservation)
    .where(token_reservation.c.person_id == bindparam("merged"))
    .values(person_id=bindparam("remaining"))
)
_LOST = (
    select(token_reservation)
    .where(token_reservation.c.until < bindparam("before"))
    .order_by(token_reservation.c.until)
    .limit(bindparam("limit", type_=Integer))
)


def pay(tx: Tx, person_id: str, spent: Usage, settles: Sequence[str], now: float, **replies: int) -> None:
    """Count the actual usage instead of its reservations, and the numbers of `replies` (see `add_to_day`)."""
    add_to_day(tx, person_id, spent, now, **replies)
    if settles:
        _settle(tx, settles)


def _settle(tx: Tx, reservations: Sequence[str]) -> None:
    tx.execute(_SETTLE, {"settled": list(reservations)})


def move(tx: Tx, merged: str, remaining: str) -> None:
    tx.execute(_MOVE, {"merged": merged, "remaining": remaining})


def write_off(tx: Tx, now: float) -> int:
    """Count overdue reservations as spent; return how many, STEP at most."""
    rows = tx.execute(_LOST, {"before": now - LOST_SECONDS, "limit": STEP}).all()
    for row in rows:
        cost = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens, model_calls=1)
        add_to_day(tx, row.person_id, cost, row.day * DAY_SECONDS)
    if rows:
        _settle(tx, [row.id for row in rows])
    return len(rows)
