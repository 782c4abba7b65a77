"""Requests that a later turn resumes, and the port that decides whether it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kernel_service.ports.payloads import Text

if TYPE_CHECKING:
    from kernel_service.ports.tools import Person
    from kernel_service.ports.turns import TurnMessage


@dataclass(frozen=True, slots=True)
class ParkedRequest:
    """A request that resumes once a toolkit is connected.

    `remaining` is the model's note, and returns as the model's words; empty: none. `messages` are the person's own
    messages with the request, recordings with their transcripts; none: an earlier release parked it, or a button caused
    it. `tainted`: the model had seen content from outside when it wrote the note.
    """

    toolkit: str
    remaining: str
    messages: tuple[TurnMessage, ...] = ()
    tainted: bool = True

    @property
    def request_key(self) -> str:
        """The key that distinguishes it from other requests. A file without words is identified by its message."""
        said = (_words(each) for each in self.messages)
        return self.remaining or "\n".join(filter(None, said)) or self.numbers

    @property
    def numbers(self) -> str:
        """The numbers of its messages, separated by commas."""
        return ",".join(str(each.seq) for each in self.messages)


def _words(message: TurnMessage) -> str:
    content = message.payload.content
    return (content.text if isinstance(content, Text) else "") or message.payload.caption


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The result of a code: the sentence for the person, and the requests that waited for it, oldest first."""

    told: str
    toolkit: str = ""
    resumed: tuple[ParkedRequest, ...] = ()

    @property
    def noted(self) -> list[str]:
        """The model's notes on the remaining work, as sentences of the assistant."""
        return [f"To do once {self.toolkit} is connected: {each.remaining}" for each in self.resumed if each.remaining]

    @property
    def messages(self) -> list[TurnMessage]:
        """The person's messages with these requests, each once, as they were sent."""
        once = {message.seq: message for request in self.resumed for message in request.messages}
        return sorted(once.values(), key=lambda message: (message.sent_at, message.seq))

    @property
    def event(self) -> Resumed:
        """The event that the requests resume."""
        return Resumed(self.toolkit, tainted=any(each.tainted for each in self.resumed))


@dataclass(frozen=True, slots=True)
class Resumed:
    """The model's input when parked requests resume: it holds no words of the person. `tainted`: one of them is."""

    toolkit: str
    tainted: bool


class Codes(Protocol):
    """The issuer of the codes."""

    async def confirm(self, person: Person, code: str, seq: int, *, at: float) -> Confirmed:
        """The result of this code, sent by this person as the message `seq`. Idempotent for the same message.

        `at` (epoch seconds) is when the message was accepted, and decides whether the code is in time, because the
        message may have waited since. VendorUnavailable: nothing is decided yet.
        """
        ...
