"""Resends a reply that was refused because the window was closed, if the person has written since it was sent.

The network reports a refusal late, and their message may come before the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Float, bindparam, func, select

from kernel_service.ports.states.reply import WRITTEN_AGAIN
from kernel_service.storage.schema.inbox import NOBODY, message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.outbox.reported_replies import ReportedReply

_WROTE = (
    select(message.c.person_id, message.c.address, func.max(message.c.accepted_at).label("at"))
    .where(
        message.c.person_id.in_(bindparam("people", expanding=True)),
        message.c.channel == bindparam("of_channel"),
        message.c.user_digest != NOBODY,
        message.c.accepted_at > bindparam("since", type_=Float),
    )
    .group_by(message.c.person_id, message.c.address)
)


def release(tx: Tx, channel: str, held: Iterable[ReportedReply]) -> None:
    """A later send that is refused holds its reply, until they write again."""
    refused = [(each, each.sent_at) for each in held if each.sent_at is not None]
    if not refused:
        return
    values = {
        "people": sorted({each.person_id for each, _ in refused}),
        "of_channel": channel,
        "since": min(at for _, at in refused),
    }
    wrote = {(row.person_id, row.address): row.at for row in tx.execute(_WROTE, values)}
    for each, at in refused:
        if wrote.get((each.person_id, each.address), at) > at:
            each.move(WRITTEN_AGAIN.target, error_code=each.error_code)
