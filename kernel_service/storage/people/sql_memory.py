"""The memory of each person: the facts about them and their time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from kernel_service.ports.memory import Fact, FactLabel, KeptAs, Memory
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.people import facts, time_zones
from kernel_service.storage.people.people import SURVIVOR, surviving
from kernel_service.storage.schema.kernels import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx

_ZONES = select(kernel.c.person_id, *time_zones.COLUMNS).where(kernel.c.person_id == SURVIVOR)


class SqlMemory(SqlPort):
    """Fills `MemoryStore`."""

    @reads
    def of_person(self, tx: Tx, person_id: str) -> Memory:
        row = tx.execute(_ZONES, {"person": person_id}).one_or_none()
        zone = time_zones.of_row(tx, row.person_id, row) if row else ""
        is_stated = bool(row and time_zones.stated(tx, row.person_id, row))
        return Memory(tuple(facts.of_person(tx, person_id)), zone, said_zone=is_stated)

    @writes(in_order_of="person_id")
    def remember(
        self, tx: Tx, person_id: str, text: str, label: FactLabel = FactLabel.NONE, *, now: float
    ) -> tuple[KeptAs, int]:
        return facts.remember(tx, person_id, text, label, now)

    @writes(in_order_of="person_id")
    def forget(self, tx: Tx, person_id: str, numbers: Sequence[int] | None) -> list[Fact]:
        return facts.forget(tx, person_id, numbers)

    @writes(in_order_of="person_id")
    def move_to(self, tx: Tx, person_id: str, time_zone: str) -> None:
        time_zones.set_stated(tx, surviving(tx, person_id, stays=True), time_zone)
