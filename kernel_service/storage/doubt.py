"""Replies of which nobody knows whether they were sent, and how long to wait for a receipt to tell.

Each channel has a receipt clock, which runs only while the network's receipts arrive: a webhook that is away for an
hour says nothing of what was sent before it. A reply is sent again once that clock has run for the grace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, and_, bindparam, case, func, or_, select, text, update

from kernel_service.storage.schema import REPLY_ON_ITS_WAY, receipt_clock, reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from kernel_service.storage.engine import Tx

RECEIPT_GAP_SECONDS = 10.0
"""The most that the clock advances from one receipt to the next; over a longer gap the network may have been silent."""

_ADVANCE = text(
    "INSERT INTO receipt_clock (channel, seconds, last_at) VALUES (:channel, 0, :now) ON CONFLICT (channel) DO UPDATE"
    " SET seconds = receipt_clock.seconds + CASE"
    " WHEN excluded.last_at < receipt_clock.last_at THEN 0"
    " WHEN excluded.last_at > receipt_clock.last_at + :gap THEN :gap"
    " ELSE excluded.last_at - receipt_clock.last_at END, last_at = excluded.last_at"
).bindparams(bindparam("gap", RECEIPT_GAP_SECONDS, type_=Float))
_now = bindparam("now", type_=Float)


def _clock(shown: ColumnElement[Any]) -> ColumnElement[Any]:
    """A reading of the clock of a reply's channel; 0 before its first receipt."""
    return func.coalesce(select(shown).where(receipt_clock.c.channel == reply.c.channel).scalar_subquery(), 0.0)


_gap = _now - receipt_clock.c.last_at
# What a receipt that came now would make it: the next one must not count the time before the doubt.
_CLOCK_NOW = _clock(
    receipt_clock.c.seconds + case((_gap < 0, 0.0), (_gap > RECEIPT_GAP_SECONDS, RECEIPT_GAP_SECONDS), else_=_gap)
)
_DOUBT = update(reply).values(state="in_doubt", doubtful_since=_now, doubtful_receipts=_CLOCK_NOW)
_LAPSED = _DOUBT.where(REPLY_ON_ITS_WAY, reply.c.state == "leased", reply.c.leased_until < _now).values(token="")
_UNKNOWN = _DOUBT.where(reply.c.seq == bindparam("of")).values(error_code=bindparam("problem"))
_receipts_since = _clock(receipt_clock.c.seconds) - func.coalesce(reply.c.doubtful_receipts, 0.0)
_PASSED = (
    update(reply)
    .where(
        REPLY_ON_ITS_WAY,
        reply.c.state == "in_doubt",
        # Until then whoever holds the lease may be sending.
        reply.c.leased_until < _now,
        or_(
            _receipts_since >= bindparam("grace", type_=Float),
            and_(
                reply.c.doubtful_since <= bindparam("doubted_before", type_=Float),
                reply.c.channel.in_(bindparam("attended", expanding=True)),
            ),
        ),
    )
    .values(state="pending", doubtful_since=None, doubtful_receipts=None, token="")
)


def advance(tx: Tx, channel: str, *, now: float) -> None:
    """The network's receipts arrive: its clock runs."""
    tx.execute(_ADVANCE, {"channel": channel, "now": now})


def begin(tx: Tx, seq: int, *, problem: str, now: float) -> None:
    """A channel does not know whether it was sent."""
    tx.execute(_UNKNOWN, {"of": seq, "problem": problem, "now": now})


def lapse(tx: Tx, *, grace: float, patience: float, attended: Sequence[str], now: float) -> int:
    silent = {"doubted_before": now - patience, "attended": list(attended)}
    again = tx.execute(_PASSED, {"now": now, "grace": grace} | silent).rowcount
    return again + tx.execute(_LAPSED, {"now": now}).rowcount
