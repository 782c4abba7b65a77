"""What a turn goes on with that an earlier one had to leave, and who knows whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.payloads import Text

if TYPE_CHECKING:
    from kernel_service.ports.tools import Person
    from kernel_service.ports.turns import TurnMessage


@dataclass(frozen=True, slots=True)
class ParkedRequest:
    """What remains to be done once a toolkit is connected.

    `remaining` is what the model wrote of it, and comes back as the model's words; empty: nothing. `messages` are the
    person's own that asked for it, recordings with their transcripts; none: an earlier release parked it, or it came of
    a button. `tainted`: content from outside was among what the model saw when it wrote that.
    """

    toolkit: str
    remaining: str
    messages: tuple[TurnMessage, ...] = ()
    tainted: bool = True

    @property
    def wish(self) -> str:
        """What tells it from another request. A file without words is told by its message."""
        said = (_words(each) for each in self.messages)
        return self.remaining or "\n".join(filter(None, said)) or self.numbers

    @property
    def numbers(self) -> str:
        """Of its messages, with commas."""
        return ",".join(str(each.seq) for each in self.messages)


def _words(message: TurnMessage) -> str:
    content = message.payload.content
    return (content.text if isinstance(content, Text) else "") or message.payload.caption


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What became of a code: the sentence for the person, and the requests that waited for it, oldest first."""

    told: str
    toolkit: str = ""
    resumed: tuple[ParkedRequest, ...] = ()

    @property
    def noted(self) -> list[str]:
        """What the model had noted to be done, in sentences of the assistant's."""
        return [f"To do once {self.toolkit} is connected: {each.remaining}" for each in self.resumed if each.remaining]

    @property
    def messages(self) -> list[TurnMessage]:
        """What the person had written to ask for it, each message once, as it was sent."""
        once = {message.seq: message for request in self.resumed for message in request.messages}
        return sorted(once.values(), key=lambda message: (message.sent_at, message.seq))

    @property
    def event(self) -> Resumed:
        """That it goes on now."""
        return Resumed(self.toolkit, tainted=any(each.tainted for each in self.resumed))


@dataclass(frozen=True, slots=True)
class Resumed:
    """What the model is told when parked requests go on: no words of the person. `tainted`: one of them is."""

    toolkit: str
    tainted: bool


class Codes(Protocol):
    """Whoever gave the codes out."""

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        """What this code, sent by this person as the message `seq`, does. The same message again: the same.

        Whether it is in time, `at` tells, when the message was accepted (epoch seconds): it may have waited since.
        VendorUnavailable: nothing is decided yet.
        """
        ...
