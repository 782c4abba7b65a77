"""Reads everything that is stored of a person: a page per transaction, in which they are still the same person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from kernel_service.errors import Aborted
from kernel_service.ports.exporting import ExportedPerson, ExportPage, ExportPosition
from kernel_service.storage.engine.units import SqlPort, reads
from kernel_service.storage.exporting import files
from kernel_service.storage.exporting.opening import Opening
from kernel_service.storage.exporting.source import ROWS
from kernel_service.storage.exporting.tables import SOURCES
from kernel_service.storage.people.people import surviving
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.schema.people import person

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

_PERSON = (
    select(person.c.created_at, kernel)
    .join(kernel, kernel.c.person_id == person.c.id)
    .where(person.c.id == bindparam("person"))
)
_MERGED: Final = select(person.c.id).where(person.c.merged_into == bindparam("person")).order_by(person.c.id)


class SqlExports(SqlPort):
    """Fills `ExportStore`."""

    @reads
    def person(self, tx: Tx, person_id: str) -> tuple[ExportedPerson, tuple[str, ...]]:
        stays = surviving(tx, person_id)
        row = tx.execute(_PERSON, {"person": stays}).one()
        return _person(Opening(tx, row), row, _merged(tx, stays))

    @reads
    def page(self, tx: Tx, person: ExportedPerson, position: ExportPosition) -> ExportPage:
        _check_is_the_same(tx, person)
        source = SOURCES[position.table]
        rows = source.rows(tx, person.id, position.after)
        shown = rows[:ROWS]
        records = list(source.records(tx, shown))
        if len(rows) > ROWS:
            return ExportPage(records, ExportPosition(position.table, source.key_of(shown[-1])))
        is_last = position.table + 1 == len(SOURCES)
        return ExportPage(records, None if is_last else ExportPosition(position.table + 1))

    @reads
    def chunk(self, tx: Tx, person: ExportedPerson, file_id: str, number: int) -> bytes | None:
        _check_is_the_same(tx, person)
        return files.chunk(tx, person.id, file_id, number)


def _person(opening: Opening, row: Row[Any], merged: tuple[str, ...]) -> tuple[ExportedPerson, tuple[str, ...]]:
    reported = opening.text(kernel.c.time_zone, "reported_time_zone")
    said = opening.text(kernel.c.said_time_zone, "said_time_zone")
    found = ExportedPerson(row.person_id, row.created_at, merged, reported, said, row.stopped_at, row.context_start)
    return found, opening.unreadable


def _check_is_the_same(tx: Tx, known: ExportedPerson) -> None:
    """A merge renumbers items, so that some would be exported twice, and others never.

    Raises `NotFound` PERSON_NOT_FOUND.
    """
    if surviving(tx, known.id) != known.id or _merged(tx, known.id) != known.merged:
        raise Aborted("PERSON_CHANGED", "the person was merged while they were exported; export them again")


def _merged(tx: Tx, person_id: str) -> tuple[str, ...]:
    return tuple(tx.execute(_MERGED, {"person": person_id}).scalars())
