"""The port of traces: one trace follows a message through gateway, nodes and vendors.

Spans hold no content, and no id of a channel.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kernel_service.ports.messages import Answer, Message
    from kernel_service.ports.outbox import Lease
    from kernel_service.ports.turns import Turn

_NOTHING: Final = nullcontext()


class Traces(Protocol):
    """A `parent` is in the form of W3C's traceparent; empty: not traced."""

    def handled(self, message: Message, answer: Answer, lasted: float) -> str:
        """Record that a call with the message was answered after `lasted` seconds. Returns the message's parent."""
        ...

    def turn(self, turn: Turn) -> AbstractContextManager[object]:
        """A span around an attempt of the turn."""
        ...

    def leased(self, lease: Lease, channel: str, waited: float) -> str:
        """Record that a reply was leased, `waited` seconds after it was made. Returns the parent."""
        ...


class NoTraces:
    """Traces are off."""

    def handled(self, message: Message, answer: Answer, lasted: float) -> str:  # noqa: ARG002
        return ""

    def turn(self, turn: Turn) -> AbstractContextManager[object]:  # noqa: ARG002
        return _NOTHING

    def leased(self, lease: Lease, channel: str, waited: float) -> str:  # noqa: ARG002
        return ""
