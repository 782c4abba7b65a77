"""Each person's time zone: as they state it, or else by a channel's latest report.

Sealed, because it reveals where they live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from kernel_service.errors import Unreadable
from kernel_service.storage.keys.resealing import OwnedPlace, resealed
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from sqlalchemy import Column, Row

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

COLUMNS: Final = (kernel.c.said_time_zone, kernel.c.time_zone)
"""Those from which `of_row` reads it."""

_of_person = kernel.c.person_id == bindparam("person")
_OF = select(*COLUMNS).where(_of_person)
_KEEP = {column: update(kernel).where(_of_person).values({column: bindparam("sealed")}) for column in COLUMNS}


def of_row(tx: Tx, person_id: str, row: Row[Any]) -> str:
    """Empty: unknown, or no longer readable."""
    return stated(tx, person_id, row) or _opened(tx, person_id, kernel.c.time_zone, row.time_zone)


def of(tx: Tx, person_id: str) -> str:
    """Empty: unknown, or no longer readable."""
    row = tx.execute(_OF, {"person": person_id}).one_or_none()
    return of_row(tx, person_id, row) if row else ""


def stated(tx: Tx, person_id: str, row: Row[Any]) -> str:
    """The one that the person stated; empty: none, or it is no longer readable."""
    return _opened(tx, person_id, kernel.c.said_time_zone, row.said_time_zone)


def note(tx: Tx, person_id: str, row: Row[Any], name: str) -> bool:
    """Store the name that a message carries, if it differs from the stored one; whether the person's zone changes."""
    if not name or _opened(tx, person_id, kernel.c.time_zone, row.time_zone) == name:
        return False
    keep(tx, person_id, name)
    return not stated(tx, person_id, row)


def keep(tx: Tx, person_id: str, name: str) -> None:
    """A channel reports this zone."""
    _keep(tx, person_id, kernel.c.time_zone, name)


def set_stated(tx: Tx, person_id: str, name: str) -> None:
    """The person states this zone; empty: they withdraw the stated one."""
    _keep(tx, person_id, kernel.c.said_time_zone, name)


def move(tx: Tx, people: Merging) -> None:
    """Moves both to the remaining person, unless theirs are known."""
    merged, remaining = (tx.execute(_OF, {"person": each}).one() for each in (people.merged, people.remaining))
    for column in COLUMNS:
        sealed = getattr(merged, column.name)
        if sealed is not None and getattr(remaining, column.name) is None:
            places = [OwnedPlace(each, place(column, each)) for each in (people.merged, people.remaining)]
            tx.execute(_KEEP[column], {"person": people.remaining, "sealed": resealed(tx, sealed, *places)})


def _keep(tx: Tx, person_id: str, column: Column[Any], name: str) -> None:
    sealed = tx.cipher_of(person_id).seal_text(name, place(column, person_id)) if name else None
    tx.execute(_KEEP[column], {"person": person_id, "sealed": sealed})


def _opened(tx: Tx, person_id: str, column: Column[Any], sealed: bytes | None) -> str:
    if sealed is None:
        return ""
    cipher = tx.cipher_of(person_id)
    try:
        return cipher.open_text(sealed, place(column, person_id))
    except Unreadable:
        return ""
