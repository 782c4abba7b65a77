"""Calls that wait for the person's approval: the prompts, and the decisions of their buttons."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

from kernel_service import texts
from kernel_service.ports.commands import ApprovalButton, ApprovalButtonKind
from kernel_service.ports.messages import ReplyChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.ports.messages import ReplyFile
    from kernel_service.ports.model import FunctionCall
    from kernel_service.ports.turns import Turn
from typing import TYPE_CHECKING

ASKED: Final = (
    "Not done yet. The person is asked below your answer, with this exact call and buttons. If they approve, it is "
    "done and you are told the result; nothing that they write approves it, now or later. Do not call it again."
)
"""The output that the model gets instead of a result."""
REFUSED: Final = "Not done: the person refused this."
"""The output that the model gets for a call that the person refused."""


class Reason(StrEnum):
    """Why a call waits for approval. The prompt tells the person the reason (texts.approvals.WHY)."""

    OUTSIDE = "outside"
    """Content from outside is among what the model sees."""
    OPERATOR = "operator"
    """The operator's settings require approval."""
    EFFECT = "effect"
    """It may destroy, reach others, widen access or pay, as far as hints, names and values tell."""
    EFFECT_OUTSIDE = "effect_outside"
    """Both: the content from outside may be what asks for it."""
    UNKNOWN = "unknown"
    """It is not a plain write, or its developer requires approval."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that is made if the person approves it. `id` cannot be guessed.

    `call_id` is that of the call which asked, `title` the name of the tool for the person.
    `expires_at` (epoch seconds) is set when the prompt is sent. `account` is the id of the connection that the call
    is approved for; empty: it needs none. `titles` are looked-up titles of ids among the arguments. They are shown,
    but are not a part of the approval. `reason`: a Reason; empty: an earlier release asked.
    """

    id: str
    call_id: str
    tool: str
    arguments: dict[str, Any]
    expires_at: float = 0.0
    title: str = ""
    account: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""

    @classmethod
    def of(cls, call: FunctionCall, title: str, account: str, titles: Mapping[str, str], reason: Reason) -> Approval:
        return cls(
            f"ap_{secrets.token_urlsafe(16)}",
            call.call_id,
            call.name,
            call.arguments or {},
            title=title,
            account=account,
            titles=titles,
            reason=reason.value,
        )

    @property
    def approved_call_id(self) -> str:
        """The id of the call that is made after approval. No vendor uses ids of this form."""
        return f"call_{self.id}"

    def asks_the_same_as(self, other: Approval) -> bool:
        return (self.tool, self.arguments, self.account) == (other.tool, other.arguments, other.account)


@dataclass(frozen=True, slots=True)
class ApprovalPrompt:
    """The calls that one set of buttons covers: those of one step of the model, or one of them, in order.

    `text` shows them with all arguments, or refers to the `document` that precedes it. `may_stand`: the person may
    grant a standing permission for such calls.
    """

    approvals: tuple[Approval, ...]
    text: str
    document: ReplyFile | None = None
    may_stand: bool = False

    @property
    def id(self) -> str:
        """The id that its buttons carry."""
        return self.approvals[0].id

    @property
    def expires_at(self) -> float:
        return self.approvals[0].expires_at

    def until(self, expires_at: float) -> ApprovalPrompt:
        return replace(self, approvals=tuple(replace(each, expires_at=expires_at) for each in self.approvals))

    @property
    def choices(self) -> tuple[ReplyChoice, ...]:
        """At most the three buttons that WhatsApp shows, of at most 20 characters."""
        several = len(self.approvals) > 1
        titles = {
            ApprovalButtonKind.YES: texts.approvals.APPROVE_ALL if several else texts.approvals.APPROVE,
            ApprovalButtonKind.NO: texts.approvals.REFUSE_ALL if several else texts.approvals.REFUSE,
            **({ApprovalButtonKind.ALWAYS: texts.approvals.ALWAYS_APPROVE} if self.may_stand and not several else {}),
        }
        return tuple(ReplyChoice(ApprovalButton(self.id, kind).choice_id, title) for kind, title in titles.items())


@dataclass(frozen=True, slots=True)
class Decided:
    """The model's input for a tapped button: it holds no words of the person. `tools` by their names."""

    approved: bool
    tools: tuple[str, ...]

    @classmethod
    def of(cls, approvals: tuple[Approval, ...], *, approved: bool) -> Decided:
        return cls(approved, tuple(each.tool for each in approvals))


class DecisionOutcome(StrEnum):
    """The effect of a tapped button. Only APPROVED makes a call."""

    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"
    USED = "used"
    """One of the prompt's buttons was tapped before."""
    WITHDRAWN = "withdrawn"
    """The person said "stop", or a newer prompt replaced this one."""
    UNKNOWN = "unknown"
    """The prompt does not belong to this person."""
    FORWARDED = "forwarded"


@dataclass(frozen=True, slots=True)
class ApprovalDecision:
    """`approvals`, the calls of the prompt in order, are present if the outcome is APPROVED or REFUSED.

    `stands`: the person granted a standing permission for such calls.
    """

    outcome: DecisionOutcome
    approvals: tuple[Approval, ...] = ()
    stands: bool = False


@dataclass(frozen=True, slots=True)
class StandingPermission:
    """Of one person, for one tool with one account: the id of the connection; empty: the tool needs none.

    `toolkit` and `name` are the names of the account's toolkit and of the account. They are only shown.
    """

    tool: str
    account: str
    toolkit: str = field(default="", compare=False)
    name: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        return texts.approvals.with_account(self.tool, texts.connecting.named(self.toolkit, self.name))


class ApprovalStore(Protocol):
    """People's decisions on approval prompts, and their standing permissions."""

    async def decide(self, turn: Turn, epoch: int, button: ApprovalButton, *, at: float) -> ApprovalDecision:
        """Apply the button that was tapped at `at` (epoch seconds), once and for this turn alone."""
        ...

    async def stands(self, person_id: str, tool: str, account: str) -> bool:
        """Whether a standing permission covers this tool with this account, which is connected."""
        ...

    async def permissions(self, person_id: str) -> list[StandingPermission]:
        """The person's standing permissions, oldest first."""
        ...

    async def ask_again(self, turn: Turn, epoch: int, said: str) -> list[StandingPermission]:
        """Revoke the permissions that these words name (approvals.standing.meant). Returns the remaining ones."""
        ...
