"""Messages that the system handles: those of a person to it, and its own in their inbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Command(StrEnum):
    """Never merged with other messages and never shown to the model. NONE: the message is for the assistant."""

    NONE = ""
    STOP = "stop"
    NEW_CHAT = "new_chat"
    CODE = "code"
    APPROVAL = "approval"
    PERMISSIONS = "permissions"
    """List the standing permissions."""
    ASK_AGAIN = "ask_again"
    OPENED = "opened"
    """The person opened the chat without words (`payloads.Opened`)."""
    FACTS = "facts"
    """List what is remembered about the person."""
    FORGET = "forget"
    """Delete some or all of it."""
    REMINDER = "reminder"
    """A run of a schedule (`payloads.Scheduled`) that is sent as it is."""
    SCHEDULED = "scheduled"
    """A run of a schedule (`payloads.Scheduled`) that is a request to the model."""
    SCHEDULE_BUTTON = "schedule_button"
    """Delete a schedule, or resume those that are paused."""
    TRIGGERED = "triggered"
    """Events of a trigger (`payloads.Triggered`)."""


UNPROMPTED: Final = (Command.REMINDER, Command.SCHEDULED, Command.TRIGGERED)
"""The service itself put the message into the inbox: the person asked for nothing just now."""
NOT_STOPPED: Final = (Command.NEW_CHAT, Command.REMINDER, Command.TRIGGERED)
"""Messages that a "stop" leaves waiting: a new chat requests nothing, and the others are news to the person."""
WITHOUT_REQUEST: Final = (Command.TRIGGERED, Command.APPROVAL, Command.CODE)
"""Messages that begin a turn of the model without any words of the person for it."""
STOP_SCHEDULE: Final = "schedule:stop:"
"""Before the id of a schedule: the choice that deletes it."""
RESUME_SCHEDULES: Final = "schedule:resume"
"""The choice that resumes what is paused."""


class ApprovalButtonKind(StrEnum):
    """Which button of an approval prompt was tapped."""

    YES = "yes"
    NO = "no"
    ALWAYS = "always"
    """Approve, and grant a standing permission."""


@dataclass(frozen=True, slots=True)
class ApprovalButton:
    """A tapped button of the approval prompt with this id."""

    prompt_id: str
    kind: ApprovalButtonKind

    @property
    def approved(self) -> bool:
        return self.kind is not ApprovalButtonKind.NO

    @property
    def choice_id(self) -> str:
        return f"approval:{self.prompt_id}:{self.kind}"
