"""A schedule pauses while its person is silent.

One notice names all paused schedules, and waits until the person writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, select, update

from kernel_service import texts
from kernel_service.ports.commands import RESUME_SCHEDULES
from kernel_service.ports.messages import Reply, ReplyChoice, ReplyMode
from kernel_service.storage.outbox.replies import add_reply
from kernel_service.storage.schedules import rows
from kernel_service.storage.schema.schedules import schedule

if TYPE_CHECKING:
    from kernel_service.ports.schedules import Schedule
    from kernel_service.storage.engine.engine import Tx

PAUSED: Final = "paused"
"""The subject of the notice: a newer one replaces one that waits."""
_PAUSE = update(schedule).where(schedule.c.id == bindparam("of")).values(next_due_at=None, paused_at=bindparam("since"))
_PAUSED = (
    select(schedule)
    .where(schedule.c.person_id == bindparam("person"), schedule.c.paused_at.is_not(None))
    .order_by(schedule.c.id)
)


def pause(tx: Tx, person_id: str, found: Schedule, now: float) -> None:
    """The notice is held: it is sent when the person writes, like a reply that waits for an open window."""
    tx.execute(_PAUSE, {"of": found.id, "since": now})
    paused = [rows.opened(tx, row).asked.request for row in tx.execute(_PAUSED, {"person": person_id}).all()]
    button = ReplyChoice(RESUME_SCHEDULES, texts.schedules.RESUME)
    add_reply(
        tx,
        person_id,
        Reply(texts.schedules.paused(paused), choices=(button,)),
        channel=found.asked.channel,
        address=found.asked.address,
        mode=ReplyMode.OUTBOX,
        subject=PAUSED,
        is_held=True,
        now=now,
    )
