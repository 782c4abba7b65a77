"""Units that run one at a time across all nodes: PostgreSQL holds a lock until the transaction ends.

SQLite has one writer, so its units do so anyway.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import text

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx

_LOCK: Final = text("SELECT pg_advisory_xact_lock(:space, :number)")


class Units(IntEnum):
    """Kinds of units. The values distinguish these locks from others in the database."""

    BUDGET_OF_ALL = 0x62756467
    """Each day has its own."""
    BUDGET_OF_PERSON = 0x62756468
    """People have their own, as far as their hashes differ."""
    IDENTITIES = 0x62756469
    """Changed ids and merges."""


def one_at_a_time(tx: Tx, units: Units, number: int = 0) -> None:
    """Wait for the other units of this kind and number. Later statements see all that these have committed."""
    if tx.connection.dialect.name == "postgresql":
        tx.execute(_LOCK, {"space": units.value, "number": number})
