"""Calls that wait for the person's word: what he is asked, and what his button did."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from kernel_service import texts
from kernel_service.kernels.commands import Tap
from kernel_service.messages import ReplyChoice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel_service.turns.model import FunctionCall

ASKED: Final = (
    "Not done yet. The person is asked, below your answer, with this tool and these arguments and two buttons. If he "
    "approves it is done and you are told the result; nothing that he writes approves it. Do not call it again."
)
"""What the model is told instead of a result."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A call that is made if the person approves it. `id` cannot be guessed.

    `call_id` is that of the call which asked, `title` what the person is told that the tool is called.
    `expires_at` (epoch seconds) is given when the question is put. `account` is the id of the connection that the call
    is approved for; empty: it needs none. `titles` are what ids among the arguments stand for, as they were looked up:
    shown, and no part of what is approved.
    """

    id: str
    call_id: str
    tool: str
    arguments: dict[str, Any]
    expires_at: float = 0.0
    title: str = ""
    account: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, call: FunctionCall, title: str, account: str, titles: Mapping[str, str]) -> Approval:
        unguessable = f"ap_{secrets.token_urlsafe(16)}"
        return cls(
            unguessable, call.call_id, call.name, call.arguments or {}, title=title, account=account, titles=titles
        )

    @property
    def approved_call_id(self) -> str:
        """Of the call that is made once it is approved: no vendor gives ids like it."""
        return f"call_{self.id}"

    def decided(self, *, approved: bool) -> dict[str, Any]:
        """The person's decision as the content of a message (see messages.Message)."""
        return {"decided": {"approved": approved, "tool": self.tool, "arguments": self.arguments}}

    @property
    def choices(self) -> tuple[ReplyChoice, ReplyChoice]:
        return (
            ReplyChoice(Tap(self.id, approved=True).choice_id, texts.APPROVE),
            ReplyChoice(Tap(self.id, approved=False).choice_id, texts.REFUSE),
        )


class Verdict(StrEnum):
    """What a tapped button did. Nothing but APPROVED has a call made."""

    APPROVED = "approved"
    REFUSED = "refused"
    LAPSED = "lapsed"
    USED = "used"
    """One of the question's buttons was tapped before."""
    WITHDRAWN = "withdrawn"
    """The person said "stop", or the same was asked anew."""
    UNKNOWN = "unknown"
    """No question of this person's."""
    FORWARDED = "forwarded"


@dataclass(frozen=True, slots=True)
class Decision:
    """`approval` is there if the verdict is APPROVED or REFUSED."""

    verdict: Verdict
    approval: Approval | None = None
