"""Replies in doubt: nobody knows whether they were sent. A receipt settles one, or its grace ends and it is sent again.

Receipts reach us while the channel is attended: while a process of it pulls. A doubt ends once its channel has been
attended for the grace, and for as long as it was away since the doubt began, because a network that could not deliver
its receipts tries again later and later. After `longest_grace` attended seconds it ends in any case.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import Float, and_, bindparam, or_, update

from kernel_service.storage.schema.outbox import REPLY_ON_ITS_WAY, reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

MOST_REPEATS = 10
"""How often a reply is put back that the network may have taken, or took and then failed."""
EXHAUSTED = "in_doubt"
"""The error code of a reply that was given up in doubt."""

_now = bindparam("now", type_=Float)
_DOUBT = {"state": "in_doubt", "doubtful_since": _now, "doubt_attended": 0.0}
_NO_DOUBT = {"doubtful_since": None, "doubt_attended": 0.0}

_UNKNOWN = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(error_code=bindparam("problem"), leased_until=bindparam("until", type_=Float), **_DOUBT)
)
_LAPSED = (
    update(reply)
    .where(REPLY_ON_ITS_WAY, reply.c.state == "leased", reply.c.leased_until < _now)
    .values(token="", **_DOUBT)
)
_ATTENDED = (
    update(reply)
    .where(REPLY_ON_ITS_WAY, reply.c.state == "in_doubt", reply.c.channel.in_(bindparam("attended", expanding=True)))
    .values(doubt_attended=reply.c.doubt_attended + bindparam("seconds", type_=Float))
)
_away = _now - reply.c.doubtful_since - reply.c.doubt_attended
_OVER = (
    update(reply)
    .where(
        REPLY_ON_ITS_WAY,
        reply.c.state == "in_doubt",
        # Until then whoever holds the lease may be sending.
        reply.c.leased_until < _now,
        or_(
            and_(reply.c.doubt_attended >= bindparam("grace", type_=Float), reply.c.doubt_attended >= _away),
            reply.c.doubt_attended >= bindparam("longest_grace", type_=Float),
        ),
    )
    .values(state="pending", token="", repeats=reply.c.repeats + 1, **_NO_DOUBT)
    .returning(reply.c.seq, reply.c.id, reply.c.person_id, reply.c.repeats)
)
_GIVEN_UP = (
    update(reply)
    .where(reply.c.seq == bindparam("of"))
    .values(state="failed", settled_at=_now, error_code=bindparam("problem"))
)


def begin(tx: Tx, seq: int, *, problem: str, until: float, now: float) -> None:
    """A channel does not know whether it was sent; a call that it gave up may go on until then."""
    tx.execute(_UNKNOWN, {"of": seq, "problem": problem, "until": until, "now": now})


def begin_lapsed(tx: Tx, now: float) -> int:
    """Leases that have ended without a word; how many."""
    return tx.execute(_LAPSED, {"now": now}).rowcount


def attend(tx: Tx, channels: Sequence[str], seconds: float) -> None:
    """For so many seconds more a process of these channels has been pulling."""
    if channels:
        tx.execute(_ATTENDED, {"attended": list(channels), "seconds": seconds})


def end(tx: Tx, *, grace: float, longest_grace: float, now: float) -> int:
    """Doubts that are over: their replies are pending again, or failed after too many; how many."""
    over = tx.execute(_OVER, {"now": now, "grace": grace, "longest_grace": longest_grace}).all()
    for row in over:
        if row.repeats >= MOST_REPEATS:
            _give_up(tx, row, now)
    return len(over)


def _give_up(tx: Tx, row: Row[tuple[int, str, str, int]], now: float) -> None:
    log.error("reply %s of %s is given up: in doubt for the %d. time", row.id, row.person_id, row.repeats)
    tx.execute(_GIVEN_UP, {"of": row.seq, "problem": EXHAUSTED, "now": now})
