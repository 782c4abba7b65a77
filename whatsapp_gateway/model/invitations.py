"""Invitations to people whose window is closed: what names one in a status, and what its button returns."""

import math
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

OPENS_WINDOW: Final = "kernel:open_window"
"""The payload of an invitation's button. The tap opens the window, and says nothing else."""
_LONGEST_PART: Final = 30
"""Characters of an instance id, from its end, which differs between processes."""
_SHAPE: Final = re.compile(
    r"invitation/(plain|reminder)/(0|[1-9]\d{0,3})/(rp_[A-Za-z0-9]{1,96})/([\w.-]{1,90})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Invitation:
    """The kernel service grants one. reminder: the text of the waiting reply, if that is a reminder; else empty.

    counted: the service grants one a day; an older one grants all.
    """

    reminder: str = field(default="", repr=False)
    counted: bool = True


@dataclass(frozen=True, slots=True)
class NoInvitation:
    """It grants none. wait: seconds until it may; infinite: the reply does not wait."""

    wait: float = math.inf


class InvitationName(NamedTuple):
    """The callback id of a template: which one it is, for which reply, and by which attempt of which process."""

    kind: str
    attempt: int
    reply_id: str
    instance_id: str

    def __str__(self) -> str:
        return f"invitation/{self.kind}/{self.attempt}/{self.reply_id}/{self.instance_id}"

    @property
    def claimer(self) -> str:
        """Each attempt claims for itself: the failure of an earlier one, told late, withdraws no later claim."""
        return f"{self.reply_id}/{self.attempt}/{self.instance_id[-_LONGEST_PART:]}"


def invitation_named(callback_id: str) -> InvitationName | None:
    """None: not in our format."""
    found = _SHAPE.fullmatch(callback_id)
    return InvitationName(found[1], int(found[2]), found[3], found[4]) if found else None
