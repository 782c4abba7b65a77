"""People, and the ids by which channels know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, not_, select

from kernel_service.people.identity import named_alone
from kernel_service.ports.messages import Alias
from kernel_service.storage.engine.units import SqlPort, reads
from kernel_service.storage.people.people import FOUND, GIVEN_UP, alias_value, found, surviving
from kernel_service.storage.schema.people import alias

if TYPE_CHECKING:
    from kernel_service.ports.weak_ids import WeakIdExpiry
    from kernel_service.storage.engine.engine import Engine, Tx

_LAST_PERSON = (
    select(alias.c.person_id)
    .where(alias.c.channel == bindparam("channel"), alias.c.digest == bindparam("digest"), not_(GIVEN_UP))
    .order_by(alias.c.strong.desc(), alias.c.created_at.desc())
    .limit(1)
)
_IDS_IN = (
    select(alias)
    .where(alias.c.person_id == bindparam("person"), alias.c.channel == bindparam("channel"))
    .order_by(alias.c.strong.desc(), alias.c.created_at, alias.c.digest)
)
_CHANNELS = select(alias.c.channel).where(alias.c.person_id == bindparam("person")).distinct().order_by(alias.c.channel)


class SqlPeople(SqlPort):
    """Fills `PeopleStore`. An id that has expired under `weak_ids` matches no person."""

    def __init__(self, engine: Engine, weak_ids: WeakIdExpiry) -> None:
        super().__init__(engine)
        self._weak_ids = weak_ids

    @reads
    def person_of(self, tx: Tx, user_id: str, *, now: float) -> str | None:
        channel = user_id.partition(":")[0]
        rows = tx.execute(FOUND, {"channel": channel, "digests": [tx.digests.user(user_id)]})
        return named_alone(found(row, user_id, now, self._weak_ids) for row in rows)

    @reads
    def last_person_of(self, tx: Tx, user_id: str) -> str | None:
        channel = user_id.partition(":")[0]
        named = {"channel": channel, "digest": tx.digests.user(user_id)}
        return tx.execute(_LAST_PERSON, named).scalar_one_or_none()

    @reads
    def channels_of(self, tx: Tx, person_id: str) -> list[str]:
        return list(tx.execute(_CHANNELS, {"person": person_id}).scalars())

    @reads
    def ids_in(self, tx: Tx, person_id: str, channel: str) -> list[Alias]:
        rows = tx.execute(_IDS_IN, {"person": person_id, "channel": channel})
        return [Alias(alias_value(tx, row), row.strong, row.scope) for row in rows]

    @reads
    def surviving(self, tx: Tx, person_id: str) -> str:
        return surviving(tx, person_id)
