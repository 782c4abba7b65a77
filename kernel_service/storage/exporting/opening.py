"""Opens the sealed values of one row. Those that do not open are named in the record, and the rest is exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from kernel_service.errors import SealedValueDamaged
from kernel_service.ports.exporting import Exported
from kernel_service.storable import from_json
from kernel_service.storage.keys.resealing import place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Row

    from kernel_service.ports.exporting import Record
    from kernel_service.storage.engine.engine import Tx

T = TypeVar("T")

_ODD = (ValueError, TypeError, AttributeError, LookupError)
"""Raised by the reader of a value that opens and has another form."""


class Opening:
    """The row's values by their columns. `field`: the record's name for the value, as the contract has it."""

    def __init__(self, tx: Tx, row: Row[Any]) -> None:
        self.tx = tx
        self.row = row
        self._cipher = tx.cipher_of(row.person_id)
        self._unreadable: list[str] = []

    def text(self, column: Column[Any], field: str) -> str:
        """Empty: there is none, or it does not open."""
        return self.read(column, field, bytes.decode) or ""

    def json(self, column: Column[Any], field: str, read: Callable[[Any], T]) -> T | None:
        """The JSON value as `read` returns it. None: there is none, or it does not open."""
        return self.read(column, field, lambda plain: read(from_json(plain)))

    def read(self, column: Column[Any], field: str, read: Callable[[bytes], T]) -> T | None:
        """As `json`, of bytes."""
        sealed = getattr(self.row, column.name)
        if sealed is None:
            return None
        return self.whole(lambda: read(self._cipher.open(sealed, place_of(column, self.row))), field)

    def whole(self, opened: Callable[[], T], field: str) -> T | None:
        """The result of a function that raises `SealedValueDamaged`, or fails on a value of another form."""
        try:
            return opened()
        except (SealedValueDamaged, *_ODD):
            self._unreadable.append(field)
            return None

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The fields that did not open."""
        return tuple(self._unreadable)

    def exported(self, record: Record) -> Exported:
        return Exported(record, self.unreadable)
