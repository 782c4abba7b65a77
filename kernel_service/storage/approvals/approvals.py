"""What people are asked before it is done: kept with the question, decided once, by one button, in time.

A row for each call; those that one question asks for are decided together, or not at all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from kernel_service.ports.approvals import Approval, Decision, Verdict
from kernel_service.ports.commands import TapKind
from kernel_service.storable import to_json
from kernel_service.storage.approvals import standing_permissions
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.schema.schema import approval
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.approvals import Question
    from kernel_service.ports.commands import Tap
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_mine = approval.c.person_id == bindparam("person")
_open = approval.c.decided_in.is_(None) & approval.c.withdrawn_at.is_(None)
_ADD = insert(approval)
_ASKED = select(approval).where(approval.c.question_id == bindparam("of"), _mine).with_for_update()
_DECIDE = (
    update(approval)
    .where(approval.c.question_id == bindparam("of"), _mine)
    .values(decided_in=bindparam("turn"), approved=bindparam("is_approved"))
)
_WITHDRAW = update(approval).where(_mine, _open).values(withdrawn_at=bindparam("at"))
_asking_the_same = select(approval.c.question_id).where(
    _mine, _open, approval.c.digest.in_(bindparam("same", expanding=True))
)
_REPLACE = _WITHDRAW.where(approval.c.question_id.in_(_asking_the_same))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is sealed of a call that is asked for. `number`: among the `of` calls of its question, from 0."""

    arguments: dict[str, Any]
    account: str = ""
    number: int = 0
    of: int = 1
    may_stand: bool = False

    @classmethod
    def read(cls, kept: list[Any] | dict[str, Any]) -> _Kept:
        """Earlier releases kept the arguments alone, then the account with them."""
        return cls(*kept) if isinstance(kept, list) else cls(kept)


def keep(tx: Tx, record: Turn, questions: Sequence[Question], now: float) -> None:
    """A call that is asked for anew is asked for once: the buttons of earlier questions with it do nothing any more."""
    for question in questions:
        digests = [_digest(tx, one.tool, one.arguments) for one in question.approvals]
        tx.execute(_REPLACE, {"person": record.person_id, "same": digests, "at": now})
        for number, (one, digest) in enumerate(zip(question.approvals, digests, strict=True)):
            kept = [one.arguments, one.account, number, len(digests), question.may_stand]
            row = {
                "id": one.id,
                "person_id": record.person_id,
                "turn_id": record.id,
                "question_id": question.id,
                "call_id": one.call_id,
                "tool": one.tool,
                "arguments": tx.cipher_of(record.person_id).seal_json(kept, place(approval.c.arguments, one.id)),
                "digest": digest,
                "created_at": now,
                "expires_at": one.expires_at,
            }
            tx.execute(_ADD, row)


def decide(tx: Tx, record: Turn, epoch: int, tap: Tap, *, at: float) -> Decision:
    leases.fence(tx, record.person_id, epoch)
    of_person = {"of": tap.question_id, "person": record.person_id}
    rows = tx.execute(_ASKED, of_person).all()
    against = (verdict for row in rows if (verdict := _against(row, record, at)) is not None)
    if (verdict := next(against, None)) is not None:
        return Decision(verdict)
    calls = sorted(((kept, row) for row in rows if (kept := _opened(tx, row))), key=lambda call: call[0].number)
    if not _is_whole([kept for kept, _ in calls], tap):
        return Decision(Verdict.UNKNOWN)
    tx.execute(_DECIDE, of_person | {"turn": record.id, "is_approved": tap.approved})
    approvals = tuple(_approval(kept, row) for kept, row in calls)
    if tap.kind is TapKind.ALWAYS:
        for each in approvals:
            standing_permissions.give(tx, record.person_id, each.tool, each.account, at)
    verdict = Verdict.APPROVED if tap.approved else Verdict.REFUSED
    return Decision(verdict, approvals, stands=tap.kind is TapKind.ALWAYS)


def _against(row: Row[Any], record: Turn, at: float) -> Verdict | None:
    """Why a button does nothing. A turn that was cut decides as it did before."""
    if row.decided_in is not None:
        return None if row.decided_in == record.id else Verdict.USED
    if row.withdrawn_at is not None:
        return Verdict.WITHDRAWN
    return Verdict.LAPSED if at >= row.expires_at else None


def _is_whole(calls: Sequence[_Kept], tap: Tap) -> bool:
    """Whether these are the calls that were shown, all of them, with that button."""
    if tap.kind is TapKind.ALWAYS and not all(kept.may_stand for kept in calls):
        return False
    numbers = [(number, len(calls)) for number in range(len(calls))]
    return bool(calls) and [(kept.number, kept.of) for kept in calls] == numbers


def _approval(kept: _Kept, row: Row[Any]) -> Approval:
    return Approval(row.id, row.call_id, row.tool, kept.arguments, row.expires_at, account=kept.account)


def _opened(tx: Tx, row: Row[Any]) -> _Kept | None:
    """None: it is not what the person was asked."""
    value = damage.value_of(tx, row.person_id, row.arguments, place(approval.c.arguments, row.id))
    kept = None if value is None else _Kept.read(value)
    if kept is None or _digest(tx, row.tool, kept.arguments) != row.digest:
        log.error("approval damaged approval=%s person=%s", row.id, row.person_id)
        return None
    return kept


def withdraw(tx: Tx, person_id: str, now: float) -> None:
    """The person takes back whatever they were asked."""
    tx.execute(_WITHDRAW, {"person": person_id, "at": now})


def _digest(tx: Tx, tool: str, arguments: dict[str, Any]) -> bytes:
    return tx.digests.payload(to_json([tool, arguments], sort_keys=True))
