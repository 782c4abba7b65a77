"""The recipient of a reply: the person's id in the channel, resolved when the reply is leased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, and_, bindparam, exists, false, func, not_, or_, select

from kernel_service.ports.states.reply import ReplyState
from kernel_service.storage.nodes.pullers import MAY_LEASE, named
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import EARLIER_UNSETTLED, reply
from kernel_service.storage.schema.people import alias
from kernel_service.storage.schema.transitions import is_one_of

if TYPE_CHECKING:
    from sqlalchemy import Row

    from kernel_service.ports.outbox import Puller
    from kernel_service.storage.engine.engine import Tx

earlier = reply.alias("earlier")
DELAYS_LATER = and_(EARLIER_UNSETTLED, not_(is_one_of(earlier.c.state, (ReplyState.HELD,))))
"""Whether the reply of a row of `earlier` delays the later replies to its person in its channel."""

# If the person has several phones, the one that sent the message gets the answer.
_answered = bindparam("answered", type_=BigInteger)
_sent_from = and_(message.c.channel == alias.c.channel, message.c.user_digest == alias.c.digest)
# The channel can send to an id under which the person wrote at this address. It may not be able to send to a parent id.
_written = message.alias("written")
_wrote_as = (
    exists()
    .where(
        _written.c.channel == alias.c.channel,
        _written.c.address == bindparam("address"),
        _written.c.user_digest == alias.c.digest,
    )
    .correlate(alias)
)
# It can also send to a linked id. A replaced id is unreachable, or now belongs to a stranger.
_RECIPIENT = (
    select(alias, message.c.seq, message.c.message_id, message.c.sealed_id)
    .select_from(alias.outerjoin(message, message.c.seq == _answered))
    .where(
        alias.c.person_id == bindparam("person"),
        alias.c.channel == bindparam("channel"),
        alias.c.replaced_at.is_(None),
    )
    .order_by(
        or_(_wrote_as, alias.c.linked_at.is_not(None)).desc(),
        alias.c.strong.desc(),
        func.coalesce(_sent_from, false()).desc(),
        alias.c.created_at.desc(),
    )
    .limit(1)
)
_RECIPIENT_AT_ONCE = _RECIPIENT.where(
    MAY_LEASE,
    not_(
        exists()
        .where(earlier.c.person_id == bindparam("person"), earlier.c.channel == bindparam("channel"), DELAYS_LATER)
        .correlate(alias)
    ),
)


def recipient(tx: Tx, person_id: str, channel: str, address: str, answered: int | None) -> Row[Any] | None:
    """The row of `alias` for an answer to the message with this `seq`, with that message's id. None: there is none."""
    wanted = {"person": person_id, "channel": channel, "address": address, "answered": answered}
    return tx.execute(_RECIPIENT, wanted).one_or_none()


def recipient_at_once(  # noqa: PLR0917 - the columns of the reply
    tx: Tx, person_id: str, channel: str, address: str, answered: int | None, puller: Puller
) -> Row[Any] | None:
    """As `recipient`; None also if an earlier reply to the person delays a new one, or the stream may not lease."""
    wanted = {"person": person_id, "channel": channel, "address": address, "answered": answered}
    return tx.execute(_RECIPIENT_AT_ONCE, wanted | named(puller)).one_or_none()
