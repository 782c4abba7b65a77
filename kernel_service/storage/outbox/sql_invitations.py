"""Invitations: one row for each person and address, with the time and the process of the last one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Float, String, bindparam, delete, exists, select, text

from kernel_service.storage.engine.units import SqlPort, writes
from kernel_service.storage.schema.outbox import invitation, reply

if TYPE_CHECKING:
    from kernel_service.storage.engine.engine import Tx
    from kernel_service.storage.keys.resealing import Merging

# A repeat of a claim keeps its time, or a process that repeats it steadily would be granted each.
_CLAIM: Final = text(
    """
    INSERT INTO invitation (person_id, channel, address, asked_at, claimed_by)
    SELECT person_id, channel, address, CAST(:now AS FLOAT), CAST(:claimer AS VARCHAR)
    FROM reply WHERE id = :reply AND channel = :channel
    ON CONFLICT (person_id, channel, address) DO UPDATE SET
    asked_at = CASE WHEN invitation.asked_at <= :since THEN excluded.asked_at ELSE invitation.asked_at END,
    claimed_by = excluded.claimed_by
    WHERE invitation.asked_at <= :since
    OR (invitation.claimed_by = excluded.claimed_by AND invitation.asked_at >= :repeat)
    RETURNING person_id
    """
).bindparams(
    *(bindparam(name, type_=Float) for name in ("now", "since", "repeat")),
    *(bindparam(name, type_=String) for name in ("claimer", "reply", "channel")),
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
_MOVE: Final = text(
    """
    INSERT INTO invitation (person_id, channel, address, asked_at, claimed_by)
    SELECT CAST(:stays AS VARCHAR), channel, address, asked_at, claimed_by FROM invitation WHERE person_id = :gone
    ON CONFLICT (person_id, channel, address)
    DO UPDATE SET asked_at = excluded.asked_at, claimed_by = excluded.claimed_by
    WHERE invitation.asked_at < excluded.asked_at
    """
)
_DROP = delete(invitation).where(invitation.c.person_id == bindparam("gone"))


class SqlInvitations(SqlPort):
    """Fills `InvitationStore`."""

    @writes(in_order_of="reply_id")
    def claim(
        self, tx: Tx, channel: str, reply_id: str, claimer: str, *, since: float, repeat: float, now: float
    ) -> bool:
        claimed = {"channel": channel, "reply": reply_id, "claimer": claimer}
        return tx.execute(_CLAIM, claimed | {"since": since, "repeat": repeat, "now": now}).one_or_none() is not None

    @writes(in_order_of="reply_id")
    def withdraw(self, tx: Tx, channel: str, reply_id: str, claimer: str) -> None:
        tx.execute(_WITHDRAW, {"of": channel, "reply": reply_id, "claimer": claimer})


def move(tx: Tx, people: Merging) -> None:
    """Of two people who are one, the later invitation counts."""
    tx.execute(_MOVE, {"gone": people.gone, "stays": people.stays})
    tx.execute(_DROP, {"gone": people.gone})
