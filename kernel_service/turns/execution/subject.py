"""The subject of a turn: the request to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kernel_service.ports.approvals import Approval
    from kernel_service.ports.resuming import Confirmed


@dataclass(frozen=True, slots=True)
class Subject:
    """The turn's own messages, unless a code resumes parked requests, or a button approves calls.

    `preface` says what the code or the button did. It goes before the first reply, since each message is billed.
    """

    resumed: Confirmed | None = None
    approved: tuple[Approval, ...] = ()
    preface: str = ""


OF_ITS_MESSAGES: Final = Subject()
"""The subject of a turn that begins with no code and no button."""
