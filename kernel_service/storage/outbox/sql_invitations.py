"""Invitations: one row for each person and address, with the time and the claimer of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Float, String, and_, bindparam, delete, exists, select, text, update

from kernel_service.errors import Unreadable
from kernel_service.ports.commands import Command
from kernel_service.ports.invitations import Invitation
from kernel_service.ports.states.reply import ReplyState
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.outbox import held_replies, replies
from kernel_service.storage.schema.inbox import message
from kernel_service.storage.schema.outbox import REPLY_UNSETTLED, invitation, reply

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

# A repeat of a claim keeps its time, or a process that repeats it steadily would be granted each.
_CLAIM: Final = text(
    f"""
    INSERT INTO invitation (person_id, channel, address, asked_at, claimed_by)
    SELECT person_id, channel, address, CAST(:now AS FLOAT), CAST(:claimer AS VARCHAR)
    FROM reply WHERE id = :reply AND channel = :channel AND {REPLY_UNSETTLED}
    ON CONFLICT (person_id, channel, address) DO UPDATE SET
    asked_at = CASE WHEN invitation.asked_at <= :since THEN excluded.asked_at ELSE invitation.asked_at END,
    claimed_by = excluded.claimed_by
    WHERE invitation.asked_at <= :since
    OR (invitation.claimed_by = excluded.claimed_by AND invitation.asked_at >= :repeat)
    RETURNING person_id, address
    """  # noqa: S608 - only names of states
).bindparams(
    *(bindparam(name, type_=Float) for name in ("now", "since", "repeat")),
    *(bindparam(name, type_=String) for name in ("claimer", "reply", "channel")),
)
_ANSWERED = (
    select(reply, message.c.seq.label("run"))
    .outerjoin(message, and_(message.c.turn_id == reply.c.turn_id, message.c.command == Command.REMINDER.value))
    .where(reply.c.id == bindparam("reply"))
    .limit(1)
)
_LAST = (
    select(invitation.c.asked_at)
    .join(
        reply,
        and_(
            reply.c.person_id == invitation.c.person_id,
            reply.c.channel == invitation.c.channel,
            reply.c.address == invitation.c.address,
        ),
    )
    .where(reply.c.id == bindparam("reply"), reply.c.channel == bindparam("of"), REPLY_UNSETTLED)
)
_WITHDRAW = delete(invitation).where(
    invitation.c.claimed_by == bindparam("claimer"),
    exists(
        select(reply.c.id).where(
            reply.c.id == bindparam("reply"),
            reply.c.channel == bindparam("of"),
            reply.c.person_id == invitation.c.person_id,
            reply.c.channel == invitation.c.channel,
            reply.c.address == invitation.c.address,
        )
    ),
)
_RETRY = (
    update(reply)
    .where(
        reply.c.id == bindparam("of"),
        reply.c.channel == bindparam("in_channel"),
        reply.c.state == ReplyState.HELD.value,
    )
    .values(not_before=bindparam("at", type_=Float))
)
_MOVE: Final = text(
    """
    INSERT INTO invitation (person_id, channel, address, asked_at, claimed_by)
    SELECT CAST(:remaining AS VARCHAR), channel, address, asked_at, claimed_by FROM invitation WHERE person_id = :merged
    ON CONFLICT (person_id, channel, address)
    DO UPDATE SET asked_at = excluded.asked_at, claimed_by = excluded.claimed_by
    WHERE invitation.asked_at < excluded.asked_at
    """
)
_DROP = delete(invitation).where(invitation.c.person_id == bindparam("merged"))


class SqlInvitations(SqlPort):
    """Fills `InvitationStore`."""

    @writes(in_order_of="reply_id")
    def claim(
        self, tx: Tx, channel: str, reply_id: str, claimer: str, *, since: float, repeat: float, now: float
    ) -> Invitation | None:
        claimed = {"channel": channel, "reply": reply_id, "claimer": claimer}
        granted = tx.execute(_CLAIM, claimed | {"since": since, "repeat": repeat, "now": now}).one_or_none()
        if granted is None:
            return None
        held_replies.await_person(tx, granted.person_id, channel, granted.address)
        return Invitation(_reminder(tx, reply_id))

    @reads
    def last(self, tx: Tx, channel: str, reply_id: str) -> float | None:
        return tx.execute(_LAST, {"of": channel, "reply": reply_id}).scalar_one_or_none()

    @writes(in_order_of="reply_id")
    def withdraw(self, tx: Tx, channel: str, reply_id: str, claimer: str, *, retry_at: float | None) -> None:
        tx.execute(_WITHDRAW, {"of": channel, "reply": reply_id, "claimer": claimer})
        tx.execute(_RETRY, {"of": reply_id, "in_channel": channel, "at": retry_at})


def _reminder(tx: Tx, reply_id: str) -> str:
    """The text of a reply that is a reminder. Empty: another one, or it cannot be read."""
    row = tx.execute(_ANSWERED, {"reply": reply_id}).one()
    if row.run is None:
        return ""
    try:
        return replies.opened(tx, row).reply.text
    except Unreadable:
        return ""


def move(tx: Tx, people: Merging) -> None:
    """Of two people who are one, the later invitation counts."""
    tx.execute(_MOVE, {"merged": people.merged, "remaining": people.remaining})
    tx.execute(_DROP, {"merged": people.merged})
