"""A table of people's rows as the export reads it: by key, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, select, tuple_

from kernel_service.storage.exporting.opening import Opening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Column, ColumnElement, Row, Select, Table

    from kernel_service.ports.exporting import Exported, Record
    from kernel_service.storage.engine.engine import Tx

ROWS: Final = 50
"""Rows of a page: it is read in a few milliseconds, and a row may have some hundred kB."""


@dataclass(frozen=True, eq=False)
class Source:
    """`records` makes the records of a page of rows. `keys` order the rows of a person, and are among the columns.

    `also`: other tables whose rows of the person are in these records.
    """

    table: Table
    keys: tuple[Column[Any], ...]
    records: Callable[[Tx, Sequence[Row[Any]]], Iterable[Exported]]
    selected: Select[Any]
    also: tuple[Table, ...] = ()
    first: Select[Any] = field(init=False)
    later: Select[Any] = field(init=False)

    def __post_init__(self) -> None:
        paged = self.selected.order_by(*self.keys).limit(bindparam("limit", type_=Integer))
        after = [bindparam(f"after_{key.name}", type_=key.type) for key in self.keys]
        object.__setattr__(self, "first", paged)
        beyond = self.keys[0] > after[0] if len(after) == 1 else tuple_(*self.keys) > tuple_(*after)
        object.__setattr__(self, "later", paged.where(beyond))

    def rows(self, tx: Tx, person_id: str, after: tuple[Any, ...]) -> Sequence[Row[Any]]:
        """At most ROWS + 1: the last one shows that more follow."""
        values: dict[str, Any] = {"person": person_id, "limit": ROWS + 1}
        if not after:
            return tx.execute(self.first, values).all()
        values |= {f"after_{key.name}": value for key, value in zip(self.keys, after, strict=True)}
        return tx.execute(self.later, values).all()

    def key_of(self, row: Row[Any]) -> tuple[Any, ...]:
        return tuple(getattr(row, key.name) for key in self.keys)


def source(
    table: Table,
    *keys: Column[Any],
    records: Callable[[Tx, Sequence[Row[Any]]], Iterable[Exported]],
    selected: Select[Any] | None = None,
    whose: ColumnElement[bool] | None = None,
    also: tuple[Table, ...] = (),
) -> Source:
    """`whose`: the rows of `person`; by default those with the person's id."""
    chosen = select(table) if selected is None else selected
    whose = table.c.person_id == bindparam("person") if whose is None else whose
    return Source(table, keys, records, chosen.where(whose), also)


def each(
    record: Callable[[Opening, Row[Any]], Record],
) -> Callable[[Tx, Sequence[Row[Any]]], Iterable[Exported]]:
    """Records of one row each."""

    def records(tx: Tx, rows: Sequence[Row[Any]]) -> Iterable[Exported]:
        for row in rows:
            opening = Opening(tx, row)
            yield opening.exported(record(opening, row))

    return records
