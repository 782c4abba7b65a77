"""Each person's time zone, by a channel's latest report. It reveals where they live, so it is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select, update

from kernel_service.errors import Unreadable
from kernel_service.storage.keys.resealing import Theirs, resealed
from kernel_service.storage.schema.kernels import kernel
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging
    from kernel_service.storage.sealing.ciphers import Place

_OF = select(kernel.c.time_zone).where(kernel.c.person_id == bindparam("person"))
_KEEP = update(kernel).where(kernel.c.person_id == bindparam("person")).values(time_zone=bindparam("sealed"))
_GIVE = _KEEP.where(kernel.c.time_zone.is_(None))


def keep(tx: Tx, person_id: str, name: str) -> None:
    sealed = tx.cipher_of(person_id).seal_text(name, _place(person_id))
    tx.execute(_KEEP, {"person": person_id, "sealed": sealed})


def note(tx: Tx, person_id: str, known: bytes | None, name: str) -> bool:
    """Store the name that a message carries, if it differs from the stored one; whether it does. Empty: unknown."""
    if not name or opened(tx, person_id, known) == name:
        return False
    keep(tx, person_id, name)
    return True


def opened(tx: Tx, person_id: str, sealed: bytes | None) -> str:
    """Empty: unknown, or no longer readable."""
    if sealed is None:
        return ""
    cipher = tx.cipher_of(person_id)
    try:
        return cipher.open_text(sealed, _place(person_id))
    except Unreadable:
        return ""


def move(tx: Tx, people: Merging) -> None:
    """Moves it to the remaining person, unless theirs is known."""
    sealed = tx.execute(_OF, {"person": people.gone}).scalar_one_or_none()
    if sealed is not None:
        theirs = [Theirs(each, _place(each)) for each in (people.gone, people.stays)]
        tx.execute(_GIVE, {"person": people.stays, "sealed": resealed(tx, sealed, *theirs)})


def _place(person_id: str) -> Place:
    return place(kernel.c.time_zone, person_id)
