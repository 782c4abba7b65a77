"""What a person says to the system and not to their assistant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Command(StrEnum):
    """Never merged with other messages and never shown to the model. NONE: the message is for the assistant."""

    NONE = ""
    STOP = "stop"
    NEW_CHAT = "new_chat"
    CODE = "code"
    APPROVAL = "approval"
    PERMISSIONS = "permissions"
    """What is done without asking?"""
    ASK_AGAIN = "ask_again"


class ApprovalButtonKind(StrEnum):
    """Which of a question's buttons was tapped."""

    YES = "yes"
    NO = "no"
    ALWAYS = "always"
    """Yes, and from now on without being asked."""


@dataclass(frozen=True, slots=True)
class ApprovalButton:
    """A tapped button of the question with this id, whether something may be done."""

    prompt_id: str
    kind: ApprovalButtonKind

    @property
    def approved(self) -> bool:
        return self.kind is not ApprovalButtonKind.NO

    @property
    def choice_id(self) -> str:
        return f"approval:{self.prompt_id}:{self.kind}"
