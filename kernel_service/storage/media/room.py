"""Storage quota for people's files: each person has a share, and strangers cannot displace files of established people.

A stranger is a person who came recently and has connected no account. When space runs out, the newest strangers' files
are evicted, except files that a turn is reading. Space is made for established people, and for strangers who came
earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Integer, bindparam, exists, func, not_, select, update

from kernel_service.clock import DAY_SECONDS
from kernel_service.errors import Exhausted
from kernel_service.ports.connections import ConnectionStatus
from kernel_service.ports.media import FileProblem, MediaState
from kernel_service.ports.states.media import MEDIA
from kernel_service.storage.schema.connections import connection
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.media import media
from kernel_service.storage.schema.people import person
from kernel_service.storage.schema.transitions import may_become

if TYPE_CHECKING:
    from kernel_service.ports.media import MediaQuota
    from kernel_service.storage.engine.engine import Tx

STRANGER_DAYS: Final = 7
STEP: Final = 64

_KEPT = select(func.coalesce(func.sum(media.c.size), 0))
_KEPT_FOR = _KEPT.where(media.c.person_id == bindparam("person"))
_connected = (
    exists()
    .where(connection.c.person_id == person.c.id, connection.c.status == ConnectionStatus.ACTIVE.value)
    .correlate(person)
)
_STRANGER = (person.c.created_at > bindparam("since"), not_(_connected))
_SINCE = select(person.c.created_at).where(person.c.id == bindparam("person"), *_STRANGER)
_in_a_turn = exists().where(message.c.seq == media.c.message_seq, message.c.turn_id.is_not(None)).correlate(media)
_NEWEST_OF_STRANGERS = (
    select(media.c.id, media.c.message_seq, media.c.size)
    .select_from(media.join(person, person.c.id == media.c.person_id))
    .where(*_STRANGER, person.c.created_at > bindparam("after"), media.c.size > 0, not_(_in_a_turn))
    .order_by(person.c.created_at.desc(), media.c.id.desc())
    .limit(bindparam("limit", type_=Integer))
)
_EVICT = (
    update(media)
    .where(media.c.id.in_(bindparam("evicted", expanding=True)), may_become(media.c.state, MEDIA, MediaState.FAILED))
    .values(state=MediaState.FAILED.value, problem=FileProblem.NO_ROOM.value, size=0, chunks=0, upload="")
)
_WAIT_NO_MORE = update(message).where(message.c.seq.in_(bindparam("of", expanding=True))).values(waits_until=None)


def make_room(tx: Tx, person_id: str, more: int, quota: MediaQuota, *, now: float) -> None:
    """Make room for `more` bytes of the person's files. Raises `Exhausted` MEDIA_FULL if a share or the total is used
    up.
    """
    if not more:
        return
    kept, kept_for = tx.execute(_KEPT).scalar_one(), tx.execute(_KEPT_FOR, {"person": person_id}).scalar_one()
    if kept_for + more > quota.per_person:
        raise _full()
    missing = kept + more - quota.all_people
    if missing > 0:
        since = now - STRANGER_DAYS * DAY_SECONDS
        came_at = tx.execute(_SINCE, {"person": person_id, "since": since}).scalar_one_or_none()
        _evict(tx, missing, since=since, after=since if came_at is None else came_at)


def _evict(tx: Tx, missing: int, *, since: float, after: float) -> None:
    evicted = []
    for row in tx.execute(_NEWEST_OF_STRANGERS, {"since": since, "after": after, "limit": STEP}):
        if missing <= 0:
            break
        evicted.append(row)
        missing -= row.size
    if missing > 0:
        raise _full()
    tx.execute(_EVICT, {"evicted": [row.id for row in evicted]})
    tx.execute(_WAIT_NO_MORE, {"of": [row.message_seq for row in evicted]})


def _full() -> Exhausted:
    return Exhausted("MEDIA_FULL", "the storage quota for files is used up; try again later")
