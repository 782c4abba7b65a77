"""Approval decisions, and standing permissions that need no further approval."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, select, update

from kernel_service.approvals.standing import meant
from kernel_service.ports.approvals import (
    Approval,
    ApprovalDecision,
    ApprovalPrompt,
    DecisionOutcome,
    StandingPermission,
)
from kernel_service.ports.commands import ApprovalButtonKind
from kernel_service.storage.approvals import standing_permissions
from kernel_service.storage.approvals.approvals import OPEN, digest
from kernel_service.storage.engine.units import SqlPort, reads, writes
from kernel_service.storage.keys import damage
from kernel_service.storage.people import leases
from kernel_service.storage.people.people import SURVIVOR
from kernel_service.storage.schema.approvals import approval
from kernel_service.storage.sealing.ciphers import place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Row

    from kernel_service.ports.commands import ApprovalButton
    from kernel_service.ports.turns import Turn
    from kernel_service.storage.engine.engine import Tx

log = logging.getLogger(__name__)

_mine = approval.c.person_id == bindparam("person")
_ASKED = select(approval).where(approval.c.question_id == bindparam("of"), _mine).with_for_update()
_ASKED_IN = (
    select(approval)
    .where(approval.c.person_id == SURVIVOR, approval.c.turn_id == bindparam("of"), OPEN)
    .order_by(approval.c.created_at, approval.c.question_id)
)
_DECIDE = (
    update(approval)
    .where(approval.c.question_id == bindparam("of"), _mine)
    .values(decided_in=bindparam("turn"), approved=bindparam("is_approved"))
)
_STANDS = select(exists().where(standing_permissions.THIS, standing_permissions.COUNTS))


class SqlApprovals(SqlPort):
    """Fills `ApprovalStore`."""

    @writes(in_order_of="turn.person_id")
    def decide(self, tx: Tx, turn: Turn, epoch: int, button: ApprovalButton, *, at: float) -> ApprovalDecision:
        leases.fence(tx, turn.person_id, epoch)
        of_person = {"of": button.prompt_id, "person": turn.person_id}
        rows = tx.execute(_ASKED, of_person).all()
        against = (outcome for row in rows if (outcome := _against(row, turn, at)) is not None)
        if (outcome := next(against, None)) is not None:
            return ApprovalDecision(outcome)
        calls = sorted(((kept, row) for row in rows if (kept := _opened(tx, row))), key=lambda call: call[0].number)
        if not _is_whole([kept for kept, _ in calls], button):
            return ApprovalDecision(DecisionOutcome.UNKNOWN)
        tx.execute(_DECIDE, of_person | {"turn": turn.id, "is_approved": button.approved})
        approvals = tuple(_approval(kept, row) for kept, row in calls)
        if button.kind is ApprovalButtonKind.ALWAYS:
            for each in approvals:
                standing_permissions.give(tx, turn.person_id, each.tool, each.account, at)
        outcome = DecisionOutcome.APPROVED if button.approved else DecisionOutcome.REFUSED
        return ApprovalDecision(outcome, approvals, stands=button.kind is ApprovalButtonKind.ALWAYS)

    @reads
    def stands(self, tx: Tx, person_id: str, tool: str, account: str) -> bool:
        return bool(tx.execute(_STANDS, {"person": person_id, "of": tool, "used": account}).scalar_one())

    @reads
    def permissions(self, tx: Tx, person_id: str) -> list[StandingPermission]:
        return standing_permissions.of_person(tx, person_id)

    @writes(in_order_of="turn.person_id")
    def ask_again(self, tx: Tx, turn: Turn, epoch: int, said: str) -> list[StandingPermission]:
        leases.fence(tx, turn.person_id, epoch)
        if not any(char.isdigit() for char in said):
            standing_permissions.revoke(
                tx, turn.person_id, meant(standing_permissions.of_person(tx, turn.person_id), said)
            )
        return standing_permissions.of_person(tx, turn.person_id)


def asked_in(tx: Tx, person_id: str, turn_id: str) -> list[ApprovalPrompt]:
    """The open prompts of the turn, without the texts that showed them."""
    prompts: defaultdict[str, list[tuple[_Kept, Approval]]] = defaultdict(list)
    for row in tx.execute(_ASKED_IN, {"person": person_id, "of": turn_id}):
        if (kept := _opened(tx, row)) is not None:
            prompts[row.question_id].append((kept, _approval(kept, row)))
    return [_prompt(calls) for calls in prompts.values() if len(calls) == calls[0][0].of]


def _prompt(calls: list[tuple[_Kept, Approval]]) -> ApprovalPrompt:
    calls.sort(key=lambda call: call[0].number)
    return ApprovalPrompt(tuple(approval for _, approval in calls), "", may_stand=calls[0][0].may_stand)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The sealed part of a call that needs approval. `number`: its index among the prompt's `of` calls, from 0."""

    arguments: dict[str, Any]
    account: str = ""
    number: int = 0
    of: int = 1
    may_stand: bool = False

    @classmethod
    def read(cls, kept: list[Any] | dict[str, Any]) -> _Kept:
        """Earlier releases stored only the arguments, then the account with them."""
        return cls(*kept) if isinstance(kept, list) else cls(kept)


def _against(row: Row[Any], record: Turn, at: float) -> DecisionOutcome | None:
    """The reason why a button has no effect. A turn that resumes after a crash decides as before."""
    if row.decided_in is not None:
        return None if row.decided_in == record.id else DecisionOutcome.USED
    if row.withdrawn_at is not None:
        return DecisionOutcome.WITHDRAWN
    return DecisionOutcome.LAPSED if at >= row.expires_at else None


def _is_whole(calls: Sequence[_Kept], button: ApprovalButton) -> bool:
    """Whether these are exactly the calls that the prompt with that button showed."""
    if button.kind is ApprovalButtonKind.ALWAYS and not all(kept.may_stand for kept in calls):
        return False
    numbers = [(number, len(calls)) for number in range(len(calls))]
    return bool(calls) and [(kept.number, kept.of) for kept in calls] == numbers


def _approval(kept: _Kept, row: Row[Any]) -> Approval:
    return Approval(row.id, row.call_id, row.tool, kept.arguments, row.expires_at, account=kept.account)


def _opened(tx: Tx, row: Row[Any]) -> _Kept | None:
    """None: it is not the call that the prompt showed."""
    value = damage.value_of(tx, row.person_id, row.arguments, place(approval.c.arguments, row.id))
    kept = None if value is None else _Kept.read(value)
    if kept is None or digest(tx, row.tool, kept.arguments) != row.digest:
        log.error("approval damaged approval=%s person=%s", row.id, row.person_id)
        return None
    return kept
