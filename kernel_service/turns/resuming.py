"""What a turn goes on with that an earlier one had to leave, and who knows whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kernel_service.turns.tools import Person


@dataclass(frozen=True, slots=True)
class ParkedRequest:
    """What remains to be done once a toolkit is connected, in words that the model can go on from."""

    toolkit: str
    remaining: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What became of a code: the sentence for the person, and the requests that waited for it, oldest first."""

    told: str
    toolkit: str = ""
    resumed: tuple[str, ...] = ()

    @property
    def content(self) -> dict[str, Any]:
        """The resumed requests as the content of a message (see messages.Message)."""
        return {"resumed": {"toolkit": self.toolkit, "requests": list(self.resumed)}}


class Codes(Protocol):
    """Whoever gave the codes out."""

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        """What this code, sent by this person as the message `seq`, does. The same message again: the same.

        Whether it is in time, `at` tells, when the message was accepted (epoch seconds): it may have waited since.
        VendorUnavailable: nothing is decided yet.
        """
        ...
