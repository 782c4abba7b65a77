"""Held replies that are to be tried again, though the person has not written: no process asked them to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, Float, and_, bindparam, exists, not_, null, or_, select, update

from kernel_service.ports.invitations import ASKED_RECENTLY_SECONDS
from kernel_service.ports.states.reply import WRITTEN_AGAIN
from kernel_service.storage.outbox.row_locks import unlocked
from kernel_service.storage.schema.outbox import REPLY_UNSETTLED, invitation, reply
from kernel_service.storage.schema.transitions import may_take

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.outbox.reported_replies import ReportedReply


def _time(name: str) -> ColumnElement[float]:
    return bindparam(name, type_=Float)


def _asked_after(name: str) -> ColumnElement[bool]:
    """Whether the person of a reply was asked to write after the time."""
    return (
        exists()
        .where(
            invitation.c.person_id == reply.c.person_id,
            invitation.c.channel == reply.c.channel,
            invitation.c.address == reply.c.address,
            invitation.c.asked_at > _time(name),
        )
        .correlate(reply)
    )


_DUE: Final = and_(REPLY_UNSETTLED, may_take(reply.c.state, WRITTEN_AGAIN), reply.c.not_before <= _time("now"))
_LEAVE: Final = (
    update(reply)
    .where(unlocked(_DUE, or_(reply.c.created_at <= _time("made_after"), _asked_after("asked_recently"))))
    .values(not_before=null())
)
_RETRY: Final = (
    update(reply)
    .where(unlocked(_DUE, not_(_asked_after("asked_before"))))
    .values(state=WRITTEN_AGAIN.target.value, not_before=null())
    .returning(reply.c.channel)
)


_AWAIT: Final = (
    update(reply)
    .where(
        reply.c.person_id == bindparam("person"),
        REPLY_UNSETTLED,
        may_take(reply.c.state, WRITTEN_AGAIN),
        reply.c.channel == bindparam("of_channel"),
        reply.c.address == bindparam("at_address"),
    )
    .values(not_before=null())
)
_ASKED: Final = select(invitation.c.person_id, invitation.c.address).where(
    invitation.c.person_id.in_(bindparam("people", expanding=True)),
    invitation.c.channel == bindparam("of_channel"),
    invitation.c.asked_at > _time("asked_recently"),
)


def await_person(tx: Tx, person_id: str, channel: str, address: str) -> None:
    """The person is asked to write: their held replies wait for that."""
    tx.execute(_AWAIT, {"person": person_id, "of_channel": channel, "at_address": address})


def await_asked(tx: Tx, channel: str, held: Iterable[ReportedReply], now: float) -> None:
    """Of these replies, which are reported now, those whose person was asked recently wait until the person writes."""
    tried = [each for each in held if each.not_before is not None]
    if not tried:
        return
    people = sorted({each.person_id for each in tried})
    given = {"people": people, "of_channel": channel, "asked_recently": now - ASKED_RECENTLY_SECONDS}
    asked = {tuple(row) for row in tx.execute(_ASKED, given)}
    for each in tried:
        if (each.person_id, each.address) in asked:
            each.not_before = None


def retry(tx: Tx, *, asked_recently: float, asked_before: float, made_after: float, now: float) -> list[str]:
    """The due ones are pending. Returns their channels.

    A reply that was made before `made_after`, or whose person was asked after `asked_recently`, waits until the person
    writes. One whose person was asked between `asked_before` and `asked_recently` stays due.
    """
    tx.execute(_LEAVE, {"now": now, "made_after": made_after, "asked_recently": asked_recently})
    return sorted(set(tx.execute(_RETRY, {"now": now, "asked_before": asked_before}).scalars()))
