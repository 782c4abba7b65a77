"""Usage of people by day: tokens and calls in `usage`, the calls of each tool in `tool_usage`.

`usage_of_all` has the sums of all people. The possible cost of requests in progress is in `reservations.py`.
"""

from __future__ import annotations

import zlib
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, select, text

from kernel_service.clock import DAY_SECONDS
from kernel_service.ports.messages import Usage
from kernel_service.storage.schema.usage import token_reservation, tool_usage, usage, usage_of_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Select, Table, TextClause

    from kernel_service.ports.turns import ToolUse
    from kernel_service.storage.engine.engine import Tx

SHARES: Final = 16
"""Shards of a day's sum: transactions that count people of different shards do not wait for each other.

A multiple of the number of writers, because people are assigned to writers by the same hash.
"""
_OF_EACH: Final = (usage, tool_usage)
_SPENT: Final = [each.name for each in fields(Usage)]
_values_of: Final = attrgetter(*_SPENT)
SHOWN: Final = {usage: _SPENT, usage_of_all: _SPENT, tool_usage: ["calls", "failures", "seconds"]}
_COUNTS: Final = SHOWN | {usage: [*_SPENT, "replies", "fixed_replies"]}
"""The columns that are added up. The others identify the person, the day and the subject."""


def _adding(table: Table, rows: str) -> TextClause:
    """Insert `rows`, or add them to the existing rows."""
    keys = ", ".join(table.primary_key.columns.keys())
    added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in _COUNTS[table])
    columns = ", ".join(table.columns.keys())
    return text(f"INSERT INTO {table.name} ({columns}) {rows} ON CONFLICT ({keys}) DO UPDATE SET {added}")


def _values(table: Table) -> str:
    return f"VALUES ({', '.join(f':{name}' for name in table.columns.keys())})"  # noqa: SIM118 - not a dict


def _anothers(table: Table) -> str:
    rest = ", ".join(table.columns.keys()[1:])
    return f"SELECT CAST(:remaining AS VARCHAR), {rest} FROM {table.name} WHERE person_id = :merged"  # noqa: S608


def _typed(statement: TextClause, table: Table) -> TextClause:
    """With the columns' types for its parameters, because a tool's name may contain text that a database refuses."""
    return statement.bindparams(*(bindparam(column.name, type_=column.type) for column in table.columns))


_ADD: Final = {table: _typed(_adding(table, _values(table)), table) for table in _COUNTS}
_MOVE: Final = {table: _adding(table, _anothers(table)) for table in _OF_EACH}


def add_to_day(tx: Tx, person_id: str, spent: Usage, now: float, *, replies: int = 0, fixed_replies: int = 0) -> None:
    counts = counts_of(spent)
    is_spent = any(counts.values())
    counts["day"] = day_of(now)
    if replies or is_spent:
        sent = {"replies": replies, "fixed_replies": fixed_replies}
        tx.execute(_ADD[usage], {"person_id": person_id, **counts, **sent})
    if is_spent:
        tx.execute(_ADD[usage_of_all], {"share": zlib.crc32(person_id.encode()) % SHARES, **counts})


def counts_of(spent: Usage) -> dict[str, int]:
    """By the names of the columns."""
    return dict(zip(_SPENT, _values_of(spent), strict=True))


def add_use(tx: Tx, person_id: str, used: ToolUse, now: float) -> None:
    counts = {"calls": 1, "failures": int(used.failed), "seconds": used.seconds}
    tx.execute(_ADD[tool_usage], {"person_id": person_id, "day": day_of(now), "tool": used.tool, **counts})


def move(tx: Tx, merged: str, remaining: str) -> None:
    """Move one person's usage to the other."""
    for table, statement in _MOVE.items():
        tx.execute(statement, {"merged": merged, "remaining": remaining})
        tx.execute(delete(table).where(table.c.person_id == merged))


def forgetting(before: float) -> Iterator[Any]:
    """Statements that delete the days before that time."""
    for table in _COUNTS:
        yield delete(table).where(table.c.day < day_of(before))


# --- usage ----------------------------------------------------------------------------------------------------------


def _tokens(*tables: Table, person: bool) -> Select[Any]:
    """Tokens of one day, summed over the tables."""
    return select(sum(_tokens_in(table, person=person) for table in tables))


def _tokens_in(table: Table, *, person: bool) -> Any:
    spent = select(func.coalesce(func.sum(table.c.input_tokens + table.c.output_tokens), 0))
    spent = spent.where(table.c.day == bindparam("day"))
    if person:
        spent = spent.where(table.c.person_id == bindparam("person"))
    return spent.scalar_subquery()


_TOKENS: Final = _tokens(usage_of_all, token_reservation, person=False)
_TOKENS_OF: Final = _tokens(usage, token_reservation, person=True)


def spent_today(tx: Tx, person_id: str | None, *, now: float) -> int:
    """Tokens, including reservations."""
    if person_id is None:
        return int(tx.execute(_TOKENS, {"day": day_of(now)}).scalar_one())
    return int(tx.execute(_TOKENS_OF, {"day": day_of(now), "person": person_id}).scalar_one())


def day_of(now: float) -> int:
    return int(now // DAY_SECONDS)
