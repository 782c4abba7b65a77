"""All stored data of people, found by the schema: a table that is added later is covered, too.

A table is of people if a column of it refers to a person. Another table is a part of such a table if a column refers to
it, as the parts of a reply do. A row is deleted after all rows that refer to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, delete, or_, select

from kernel_service.storage.deleting import forgotten_messages
from kernel_service.storage.schema.columns import metadata
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.media import media_chunk
from kernel_service.storage.schema.people import chat, person
from kernel_service.storage.schema.schema import media

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, Row, Table

    from kernel_service.storage.engine.engine import Tx

PAGE: Final = 500
"""Rows of one transaction. Their parts come on top, up to the same number."""
_FEW: Final = {media: 16, media_chunk: 16}
"""Tables with large values."""


@dataclass(frozen=True, slots=True, eq=False)
class PartsOf:
    """A table whose rows are parts of the rows of another one: `column` holds that table's `of`."""

    column: Column[Any]
    of: Column[Any]


def columns_of_people(table: Table) -> list[Column[Any]]:
    """The columns that refer to a person."""
    return [key.parent for key in sorted(table.foreign_keys, key=str) if key.column is person.c.id]


def parts_of(table: Table) -> list[PartsOf]:
    """The tables that refer to no person, but to this table."""
    return [each for part in metadata.sorted_tables if not columns_of_people(part) for each in _refers(part, table)]


def _refers(part: Table, table: Table) -> Iterator[PartsOf]:
    for key in part.foreign_keys:
        if key.column.table is table and key.column is not person.c.id:
            yield PartsOf(key.parent, key.column)
    owner = part.info.get("part_of")
    if owner is not None and owner.table is table:
        yield PartsOf(next(iter(part.primary_key.columns)), owner)


class TableOfPeople:
    """The statements that delete a page of people's rows, with their parts."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.most = _FEW.get(table, PAGE)
        theirs = or_(*(column.in_(bindparam("people", expanding=True)) for column in columns_of_people(table)))
        self._delete = _delete_one(table)
        self._parts = [(each, *_of_page(each)) for each in parts_of(table)]
        page = select(*_shown(table)).where(theirs).limit(bindparam("limit", type_=Integer))
        # A report on a reply adds a part of it, and locks the reply before.
        self._page = page.with_for_update() if self._parts else page

    def delete_some(self, tx: Tx, people: Sequence[str], limit: int, now: float, deleted: Counter[str]) -> bool:
        """At most `limit` rows. Whether more may be left."""
        limit = min(limit, self.most)
        rows = tx.execute(self._page, {"people": list(people), "limit": limit}).all()
        if not rows:
            return False
        for part, page, statement in self._parts:
            most = _FEW.get(part.column.table, PAGE)
            found = tx.execute(page, {"of": [getattr(row, part.of.name) for row in rows], "limit": most}).all()
            _delete(tx, part.column.table, statement, found, deleted)
            if len(found) == most:
                return True
        if self.table is message:
            forgotten_messages.keep(tx, rows, now)
        _delete(tx, self.table, self._delete, rows, deleted)
        if "address" in self.table.c:
            forget_chats(tx, rows)
        return len(rows) == limit


def _shown(table: Table) -> list[Column[Any]]:
    """The columns that the deletion needs, without sealed values."""
    names = {"channel", "address", *(each.of.name for each in parts_of(table))}
    columns = [*table.primary_key.columns, *(table.c[name] for name in sorted(names) if name in table.c)]
    if table is message:
        columns += [*forgotten_messages.COLUMNS, message.c.accepted_at]
    return list(dict.fromkeys(columns))


def _of_page(part: PartsOf) -> tuple[Any, Any]:
    table = part.column.table
    page = select(*table.primary_key.columns).where(part.column.in_(bindparam("of", expanding=True)))
    return page.limit(bindparam("limit", type_=Integer)), _delete_one(table)


def _delete_one(table: Table) -> Any:
    return delete(table).where(*(key == bindparam(f"of_{key.name}") for key in table.primary_key.columns))


def _delete(tx: Tx, table: Table, statement: Any, rows: Sequence[Row[Any]], deleted: Counter[str]) -> None:
    keys = [key.name for key in table.primary_key.columns]
    if rows:
        tx.execute(statement, [{f"of_{name}": getattr(row, name) for name in keys} for row in rows])
        deleted[table.name] += len(rows)


_IN_USE = select(message.c.seq).where(
    message.c.channel == bindparam("of_channel"), message.c.address == bindparam("of_address")
)
_IS_IN_USE = _IN_USE.limit(1)
_FORGET_CHAT = delete(chat).where(chat.c.channel == bindparam("of_channel"), chat.c.address == bindparam("of_address"))


def forget_chats(tx: Tx, rows: Sequence[Row[Any]]) -> None:
    """Delete the links to those chats that hold no message any more. The next message brings its link again."""
    for channel, address in sorted({(row.channel, row.address) for row in rows}):
        of = {"of_channel": channel, "of_address": address}
        if tx.execute(_IS_IN_USE, of).one_or_none() is None:
            tx.execute(_FORGET_CHAT, of)


# A table precedes the tables that it refers to.
TABLES: Final = [TableOfPeople(table) for table in reversed(metadata.sorted_tables) if columns_of_people(table)]


def delete_page(tx: Tx, people: Sequence[str], now: float, deleted: Counter[str]) -> bool:
    """Delete up to PAGE rows of these people. Whether none is left."""
    left = PAGE
    for each in TABLES:
        while left > 0:
            before = deleted.total()
            more = each.delete_some(tx, people, left, now, deleted)
            left -= max(deleted.total() - before, 1 if more else 0)
            if each.most < PAGE and more:  # its values are large
                return False
            if not more:
                break
        if left <= 0:
            return False
    return True
