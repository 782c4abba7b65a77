"""How a turn ends: with replies, or given up. A turn that is held, requeued or broken has not ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel_service import texts
from kernel_service.ports.messages import Reply
from kernel_service.ports.payloads import Scheduled, Triggered
from kernel_service.ports.turns import TurnStatus

if TYPE_CHECKING:
    from kernel_service.ports.approvals import ApprovalPrompt
    from kernel_service.ports.resuming import ParkedRequest
    from kernel_service.ports.turns import Turn


@dataclass(frozen=True, slots=True)
class Finished:
    """`fixed`: the replies do not come from a model. `parked`: requests that resume once an account is connected."""

    replies: tuple[Reply, ...]
    status: TurnStatus = TurnStatus.COMPLETED
    problem: str = ""
    fixed: bool = False
    parked: tuple[ParkedRequest, ...] = ()
    prompts: tuple[ApprovalPrompt, ...] = ()
    preface: str = ""
    over_budget: bool = False

    @property
    def kind(self) -> str:
        """For the log, by the meaning to the person: asks, parked, refused or answered."""
        if self.prompts:
            return "asks"
        if self.parked:
            return "parked"
        return "refused" if self.over_budget or self.status is not TurnStatus.COMPLETED else "answered"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A turn of several messages is split, so that each gets a separate attempt. One alone becomes a dead letter."""

    problem: str
    text: str = texts.answers.FAILED


Ending = Finished | GivenUp


def fixed_reply(text: str) -> Finished:
    """A fixed sentence answers the turn."""
    return Finished((Reply(text),), fixed=True)


def explained(turn: Turn, text: str) -> str:
    """A sentence about a failure, for a person who may not remember what it is about."""
    match turn.messages[0].payload.content:
        case Scheduled(request=request):
            return texts.schedules.not_done(request, text)
        case Triggered(request=request):
            return texts.triggers.not_told(request, text)
        case _:
            return text
