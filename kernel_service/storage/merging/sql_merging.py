"""Identity changes that channels report, and merging of people who turn out to be one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from kernel_service.people.linking import (
    older_first,
)
from kernel_service.ports.people import Linked, LinkOutcome
from kernel_service.storage.engine.one_at_a_time import Units, one_at_a_time
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.merging import linking, merging
from kernel_service.storage.schema.people import kept_apart

if TYPE_CHECKING:
    from kernel_service.ports.messages import Alias
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Engine, Tx

_PAIRS = select(func.count()).select_from(kept_apart)


class SqlMerging(SqlPort):
    """Fills `MergingStore`. An id that has expired under `weak_ids` matches no person."""

    def __init__(self, engine: Engine, weak_ids: WeakIdExpiry) -> None:
        super().__init__(engine)
        self._weak_ids = weak_ids

    async def link(self, previous: Alias, current: Alias, *, now: float) -> Linked:
        def unit(tx: Tx) -> Linked:
            one_at_a_time(tx, Units.IDENTITIES)
            changes, done = [(previous, current)], []
            for before, after in changes:
                done.append(linking.follow(tx, before, after, now, self._weak_ids))
                if done[-1].outcome is not LinkOutcome.UNKNOWN:
                    changes += [(after, newer) for newer in linking.take_awaiting(tx, after)]
            return replace(done[0], then=tuple(done[1:]))

        # One at a time, so that the order of two changes is well defined.
        return await self._engine.write(unit, "links")

    @writes(in_order_of="one_id")
    def merge(self, tx: Tx, one_id: str, other_id: str, *, now: float) -> Linked:
        one_at_a_time(tx, Units.IDENTITIES)
        people = merging.standings(tx, (one_id, other_id))
        if len(people) == 1:
            return Linked(LinkOutcome.MERGED, people[0].person_id, is_new=False)
        return merging.unite(tx, *older_first(*people), now)

    @reads
    def kept_apart_from(self, tx: Tx, person_id: str) -> list[str]:
        rows = tx.execute(merging.PAIRS_OF, {"person": person_id})
        return sorted(row.second_id if row.first_id == person_id else row.first_id for row in rows)

    @reads
    def kept_apart_pairs(self, tx: Tx) -> int:
        return int(tx.execute(_PAIRS).scalar_one())
