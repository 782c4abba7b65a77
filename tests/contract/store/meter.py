"""The cost of each statement of a store: how much of the database it reads, by the database's own count."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernel_service.storage.engine.sqlite import SqliteEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_service.storage.store import Store

STEPS: int = 50
"""SQLite counts in units of this many instructions of its virtual machine."""
_ANALYZE = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) "


@dataclass(slots=True)
class Cost:
    """`looked_at`: instructions on SQLite, pages of 8 KiB on PostgreSQL. `plan`: the query plan."""

    statement: str
    plan: str
    looked_at: int = 0

    def __str__(self) -> str:
        return f"{self.looked_at}: {self.statement}\n{self.plan}"


@contextmanager
def metered(store: Store) -> Iterator[list[Cost]]:
    """The costs of the statements that run inside. Nothing else may run meanwhile."""
    costs: list[Cost] = []
    engine: Any = store.engine
    meter = _sqlite(costs) if isinstance(engine, SqliteEngine) else _postgresql(costs)
    engine.statements.observers.append(meter)
    try:
        yield costs
    finally:
        engine.statements.observers.remove(meter)


def dearest(costs: list[Cost]) -> list[Cost]:
    """Each statement once, with its highest cost."""
    most: dict[str, Cost] = {}
    for cost in costs:
        if cost.statement not in most or most[cost.statement].looked_at < cost.looked_at:
            most[cost.statement] = cost
    return sorted(most.values(), key=lambda cost: -cost.looked_at)


def _first(parameters: Any, many: bool) -> Any:
    return parameters[0] if many else parameters


def _worded(statement: str) -> str:
    """The same for both databases: on one line, without numbers or casts of parameters."""
    return re.sub(r"\$\d+(::\w+)?", "?", " ".join(statement.split()))


def _sqlite(costs: list[Cost]) -> Any:
    def meter(connection: Any, statement: str, parameters: Any, many: bool) -> None:
        driver = connection.connection.driver_connection
        driver.set_progress_handler(None, 0)
        if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            return
        plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}", _first(parameters, many)).fetchall()
        cost = Cost(_worded(statement), "\n".join(step[3] for step in plan))
        costs.append(cost)

        def count() -> int:
            cost.looked_at += STEPS
            return 0

        driver.set_progress_handler(count, STEPS)

    return meter


def _postgresql(costs: list[Cost]) -> Any:
    def meter(connection: Any, statement: str, parameters: Any, many: bool) -> None:
        if not statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
            return
        cursor = connection.connection.cursor()
        changes = not statement.startswith("SELECT")
        if changes:
            cursor.execute("SAVEPOINT meter")
        cursor.execute(_ANALYZE + statement, _first(parameters, many))
        told = cursor.fetchone()[0]
        if changes:
            cursor.execute("ROLLBACK TO SAVEPOINT meter")
            cursor.execute("RELEASE SAVEPOINT meter")
        plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
        pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        costs.append(Cost(_worded(statement), "\n".join(_steps(plan)), pages))

    return meter


def _steps(plan: dict[str, Any], depth: int = 0) -> Iterator[str]:
    where = " ".join(str(plan[key]) for key in ("Relation Name", "Index Name", "Index Cond", "Filter") if key in plan)
    yield f"{'  ' * depth}{plan['Node Type']} {where} rows={plan['Actual Rows']}"
    for part in plan.get("Plans", ()):
        yield from _steps(part, depth + 1)
