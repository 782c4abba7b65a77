"""Binds values of earlier releases to their places: a few hundred rows at a time, while the service runs.

New writes are always bound to their place. So after one pass over a person's tables every value is bound. Their data
key records this, and afterwards no unbound value opens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, bindparam, func, select, tuple_, update

from kernel_service.errors import Unreadable
from kernel_service.ports.keys import Rotated
from kernel_service.storage.engine.engine import DataKey, unwrap_data_key, wrap_data_key
from kernel_service.storage.keys.resealing import place_of, sealed_columns
from kernel_service.storage.schema.media import media_chunk
from kernel_service.storage.schema.people import PERSON_UNBOUND, person
from kernel_service.storage.schema.schema import metadata
from kernel_service.storage.sealing.ciphers import WrappedKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Row, Select, Table, Update

    from kernel_service.storage.engine.engine import Tx

ROWS: Final = 100
"""Rows per transaction, or up to one page more; other writers wait that long."""
PEOPLE: Final = 4
"""People per transaction: each one takes a statement for every table."""
_CHUNKS: Final = 8
"""Chunks of files are large."""

_TABLES: Final = [table for table in metadata.sorted_tables if sealed_columns(table)]
_LEFT: Final = select(func.count()).select_from(person).where(PERSON_UNBOUND)
# The person must not be merged meanwhile, because a merge moves values.
_NEXT: Final = (
    select(person)
    .where(PERSON_UNBOUND, person.c.id > bindparam("since"))
    .order_by(person.c.id)
    .limit(1)
    .with_for_update(key_share=True)
)
_BIND: Final = update(person).where(person.c.id == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Position:
    """The next row: after `key` in table number `table`, of this person. The people up to `after` are done."""

    after: str = ""
    person_id: str = ""
    table: int = 0
    key: tuple[Any, ...] = ()


def people_left(tx: Tx) -> int:
    return int(tx.execute(_LEFT).scalar_one())


def bind(tx: Tx, position: Position) -> tuple[Position | None, Rotated]:
    """Do the work of one transaction; return the next position (None: all is done) and what was done."""
    done, rows, people = Rotated(), 0, 0
    while rows < ROWS and people < PEOPLE:
        owner = tx.execute(_NEXT, {"since": position.after}).one_or_none()
        if owner is None:
            return None, done
        if owner.id != position.person_id:
            position = Position(position.after, owner.id)
        position, read, more = _step(tx, owner, position)
        rows, people, done = rows + read, people + (position.after == owner.id), done + more
    return position, done


def _step(tx: Tx, owner: Row[Any], position: Position) -> tuple[Position, int, Rotated]:
    """A page of the person's values, or their data key after the last page. Also returns how many rows were read."""
    if position.table == len(_TABLES):
        return Position(owner.id), 0, _bind_key(tx, owner)
    try:
        tx.cipher_of(owner.id)
    except Unreadable:
        return Position(owner.id), 0, Rotated(unreadable=1)
    table = _TABLES[position.table]
    limit = _limit(table)
    after = {f"after_{key.name}": value for key, value in zip(table.primary_key, position.key, strict=False)}
    rows = tx.execute(_page(table, first=not after), {"person": owner.id, "limit": limit} | after).all()
    done = sum((_reseal(tx, owner.id, column, rows) for column in sealed_columns(table)), Rotated())
    if len(rows) < limit:
        return replace(position, table=position.table + 1, key=()), len(rows), done
    return replace(position, key=tuple(getattr(rows[-1], key.name) for key in table.primary_key)), len(rows), done


def _limit(table: Table) -> int:
    return _CHUNKS if table is media_chunk else ROWS


@cache
def _page(table: Table, *, first: bool) -> Select[Any]:
    keys = list(table.primary_key)
    page = select(table).where(_theirs(table)).order_by(*keys).limit(bindparam("limit", type_=Integer))
    if first:
        return page
    return page.where(tuple_(*keys) > tuple_(*(bindparam(f"after_{key.name}", type_=key.type) for key in keys)))


def _theirs(table: Table) -> ColumnElement[bool]:
    if "person_id" in table.c:
        return table.c.person_id == bindparam("person")
    whole: Column[Any] = table.info["part_of"]
    [part] = [column for column in table.primary_key if column.name == f"{whole.table.name}_{whole.name}"]
    return part.in_(select(whole).where(whole.table.c.person_id == bindparam("person")))


def _reseal(tx: Tx, person_id: str, column: Column[Any], rows: Sequence[Row[Any]]) -> Rotated:
    cipher, changed, unreadable = tx.cipher_of(person_id), [], 0
    keys = list(column.table.primary_key)
    for row in rows:
        value = getattr(row, column.name)
        try:
            bound = cipher.rebound(value, place_of(column, row)) if value else None
        except Unreadable:
            unreadable += 1
        else:
            named = {f"of_{key.name}": getattr(row, key.name) for key in keys}
            changed += [named | {"was": value, "bound": bound}] if bound else []
    if changed:
        tx.execute(_change(column), changed)
    return Rotated(values=len(changed), unreadable=unreadable)


@cache
def _change(column: Column[Any]) -> Update:
    """Unless the value has been written again meanwhile; such a write binds it to its place."""
    of_row = [key == bindparam(f"of_{key.name}") for key in column.table.primary_key]
    return update(column.table).where(*of_row, column == bindparam("was")).values({column.name: bindparam("bound")})


def _bind_key(tx: Tx, owner: Row[Any]) -> Rotated:
    master_keys = tx.keyring.master_keys
    key = unwrap_data_key(master_keys, owner.id, DataKey(WrappedKey(owner.key_id, owner.data_key), bound=False))
    tx.execute(_BIND.values(wrap_data_key(master_keys, owner.id, key)), {"of": owner.id})
    return Rotated(people=1)
