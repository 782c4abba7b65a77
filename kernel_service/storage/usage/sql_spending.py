"""Usage by day, and reservations for requests in progress."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from kernel_service.errors import Busy, NotFound
from kernel_service.ports.admin import DayUsage, ToolUsage
from kernel_service.ports.messages import Usage
from kernel_service.ports.spending import BudgetSpentError
from kernel_service.storage.engine.one_at_a_time import Units, one_at_a_time
from kernel_service.storage.engine.units import SqlPort, reads
from kernel_service.storage.schema.ids import new_id
from kernel_service.storage.schema.usage import token_reservation, tool_usage, usage, usage_of_all
from kernel_service.storage.usage.reservations import UNDER_WAY_SECONDS
from kernel_service.storage.usage.spending import SHOWN, day_of, spent_today

if TYPE_CHECKING:
    from sqlalchemy import Select, Table

    from kernel_service.ports.spending import Budgets, Estimate
    from kernel_service.storage.engine.engine import Tx

RETRY_SECONDS: Final = 1.0
_RESERVE = insert(token_reservation)
# A person has one request in progress at a time, so earlier reservations are obsolete.
_LEFT_BEHIND = (
    update(token_reservation)
    .where(token_reservation.c.person_id == bindparam("person"), token_reservation.c.until > bindparam("now"))
    .values(until=bindparam("now"))
)
_UNDER_WAY = select(
    func.count().label("requests"), func.coalesce(func.sum(token_reservation.c.headroom), 0).label("headroom")
).where(token_reservation.c.day == bindparam("day"), token_reservation.c.until > bindparam("now"))


class SqlSpending(SqlPort):
    """Fills `SpendingStore`."""

    async def reserve(
        self, person_id: str, estimate: Estimate, budgets: Budgets, *, anyway: bool = False, now: float
    ) -> str:
        def unit(tx: Tx) -> str:
            if budgets.all_people:
                one_at_a_time(tx, Units.BUDGET_OF_ALL, day_of(now))
            else:
                one_at_a_time(tx, Units.BUDGET_OF_PERSON, zlib.crc32(person_id.encode()) - 2**31)
            tx.execute(_LEFT_BEHIND, {"person": person_id, "now": now})
            if not anyway:
                _check(tx, person_id, estimate, budgets, now)
            return _keep(tx, person_id, estimate, now)

        # One writer takes the lock of the common budget, so that the others never wait for it.
        try:
            return await self._engine.write(unit, "budget" if budgets.all_people else person_id)
        except IntegrityError:
            raise NotFound("PERSON_NOT_FOUND", "no such person", person_id=person_id) from None

    @reads
    def spent_today(self, tx: Tx, person_id: str | None, *, now: float) -> int:
        return spent_today(tx, person_id, now=now)

    @reads
    def by_day(self, tx: Tx, person_id: str | None, *, first: int, last: int) -> list[DayUsage]:
        days = {"first": first, "last": last, "person": person_id}
        tools: defaultdict[int, list[ToolUsage]] = defaultdict(list)
        for row in tx.execute(_sums(tool_usage, person_id), days):
            tools[row.day].append(ToolUsage(row.tool, int(row.calls), int(row.failures), row.seconds))
        kept = usage_of_all if person_id is None else usage
        sums = tx.execute(_sums(kept, person_id), days).all()
        # otherwise there were only replies
        spent = {row.day: Usage(*map(int, row[1:])) for row in sums if any(row[1:])}
        return [DayUsage(day, spent.get(day, Usage()), tools[day]) for day in sorted(spent.keys() | tools.keys())]


def _check(tx: Tx, person_id: str, estimate: Estimate, budgets: Budgets, now: float) -> None:
    """Check a request against the budgets.

    With other requests in progress, a request passes if the highest possible cost of all of them fits the common
    budget. A person's request, and a single request near the end of a budget, passes as long as anything is left. So
    one request at most exceeds a budget, and no person is refused because of an unlikely worst case.
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


def _keep(tx: Tx, person_id: str, estimate: Estimate, now: float) -> str:
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


def _sums(table: Table, person_id: str | None) -> Select[Any]:
    """By day (and tool), of one person or of all."""
    by = [column for column in table.primary_key.columns if column.name not in {"person_id", "share"}]
    counts = [func.sum(table.c[name]).label(name) for name in SHOWN[table]]
    query = select(*by, *counts).where(table.c.day.between(bindparam("first"), bindparam("last")))
    if person_id is not None:
        query = query.where(table.c.person_id == bindparam("person"))
    return query.group_by(*by).order_by(*by)
