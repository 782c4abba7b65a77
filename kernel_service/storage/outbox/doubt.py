"""Replies in doubt: it is unknown whether they were sent. A receipt settles one; otherwise its grace ends and it is
resent.

Receipts arrive only while a consumer of the channel is connected. A doubt ends after the channel has been connected for
the grace, and for as long as it was disconnected since the doubt began. A network that could not deliver its receipts
retries at growing intervals. After `longest_grace` connected seconds the doubt ends in any case.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sqlalchemy import Float, and_, bindparam, case, or_, update

from kernel_service.ports.states.reply import DOUBT_GIVEN_UP, DOUBT_OVER, LAPSED, ReplyState
from kernel_service.storage.outbox.row_locks import unlocked
from kernel_service.storage.schema.outbox import REPLY_ON_ITS_WAY, reply
from kernel_service.storage.schema.transitions import may_take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

MOST_REPEATS = 10
"""How often a reply is resent that the network may have accepted, or accepted and then failed."""
EXHAUSTED = ReplyState.IN_DOUBT.value
"""The error code of a reply that was given up in doubt."""

_now = bindparam("now", type_=Float)
_DOUBT = {"state": LAPSED.target.value, "doubtful_since": _now, "doubt_attended": 0.0}
_NO_DOUBT = {"doubtful_since": None, "doubt_attended": 0.0}

# A reply that is being reported on is left to the next sweep.
_LAPSED = (
    update(reply)
    .where(unlocked(REPLY_ON_ITS_WAY, may_take(reply.c.state, LAPSED), reply.c.leased_until < _now))
    .values(token="", **_DOUBT)
)
# No more than the age of the doubt: two nodes may count the same seconds while both act as the leader.
_age = _now - reply.c.doubtful_since
_attended = reply.c.doubt_attended + bindparam("seconds", type_=Float)
_ATTENDED = (
    update(reply)
    .where(
        unlocked(
            REPLY_ON_ITS_WAY,
            reply.c.state == ReplyState.IN_DOUBT.value,
            reply.c.channel.in_(bindparam("attended", expanding=True)),
        )
    )
    .values(
        doubt_attended=case(
            (_attended < _age, _attended), (_age > reply.c.doubt_attended, _age), else_=reply.c.doubt_attended
        )
    )
)
_away = _age - reply.c.doubt_attended
_OVER = (
    REPLY_ON_ITS_WAY,
    # Until then the holder of the lease may be sending.
    reply.c.leased_until < _now,
    or_(
        and_(reply.c.doubt_attended >= bindparam("grace", type_=Float), reply.c.doubt_attended >= _away),
        reply.c.doubt_attended >= bindparam("longest_grace", type_=Float),
    ),
)
_repeats = reply.c.repeats + 1
_SEND_AGAIN = (
    update(reply)
    .where(unlocked(*_OVER, may_take(reply.c.state, DOUBT_OVER), _repeats < MOST_REPEATS))
    .values(state=DOUBT_OVER.target.value, token="", repeats=_repeats, **_NO_DOUBT)
)
_GIVE_UP = (
    update(reply)
    .where(unlocked(*_OVER, may_take(reply.c.state, DOUBT_GIVEN_UP), _repeats >= MOST_REPEATS))
    .values(
        state=DOUBT_GIVEN_UP.target.value,
        token="",
        repeats=_repeats,
        settled_at=_now,
        error_code=EXHAUSTED,
        **_NO_DOUBT,
    )
    .returning(reply.c.id, reply.c.person_id, reply.c.repeats)
)


def begin_lapsed(tx: Tx, now: float) -> int:
    """Put replies in doubt whose lease expired without an acknowledgement; return how many."""
    return tx.execute(_LAPSED, {"now": now}).rowcount


def note_connected(tx: Tx, channels: Sequence[str], seconds: float, now: float) -> None:
    """Record that consumers of these channels were connected for `seconds` more."""
    if channels:
        tx.execute(_ATTENDED, {"attended": list(channels), "seconds": seconds, "now": now})


def end(tx: Tx, *, grace: float, longest_grace: float, now: float) -> int:
    """End the doubts that are over: their replies are pending again, or failed after too many; return how many."""
    ends = {"now": now, "grace": grace, "longest_grace": longest_grace}
    given_up = tx.execute(_GIVE_UP, ends).all()
    for row in given_up:
        log.error("reply %s of %s is given up: %d times in doubt", row.id, row.person_id, row.repeats)
    return len(given_up) + tx.execute(_SEND_AGAIN, ends).rowcount
