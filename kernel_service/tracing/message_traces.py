"""The traces of messages. Their ids are derived from the messages, so that any node continues one and none is stored.

The derivation has a secret key: an id tells nothing about a message, a number or a person.
"""

from __future__ import annotations

from contextlib import nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kernel_service.ports.messages import Answer, Message
    from kernel_service.ports.outbox import Lease
    from kernel_service.ports.turns import Turn
    from serving.traces import Spans

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_SHARED_BITS: Final = 64


class MessageTraces:
    """Fills `Traces`. `secret` is the same at all nodes. `share`: of how many messages there is a trace, up to 1."""

    def __init__(self, spans: Spans, secret: bytes, share: float) -> None:
        self._spans = spans
        self._secret = secret
        self._traced_below = share * 2**_SHARED_BITS

    def parent_of(self, person_id: str, channel: str, message_id: str) -> str:
        """The traceparent of a person's message; empty: it is not traced."""
        named = f"{person_id}\0{channel}\0{message_id}".encode()
        digest = blake2b(named, key=self._secret, digest_size=_TRACE_BYTES + _SPAN_BYTES).digest()
        if int.from_bytes(digest[: _SHARED_BITS // 8]) >= self._traced_below:
            return ""
        return f"00-{digest[:_TRACE_BYTES].hex()}-{digest[_TRACE_BYTES:].hex()}-01"

    def handled(self, message: Message, answer: Answer, lasted: float) -> str:
        parent = self.parent_of(answer.person_id, message.channel, message.message_id)
        if parent:
            record = self._spans.past if answer.duplicate else self._spans.root
            record(
                parent,
                "repeat" if answer.duplicate else "message",
                lasted,
                channel=message.channel,
                reply_mode=message.reply_mode.value,
                status=answer.status.value,
            )
        return parent

    def turn(self, turn: Turn) -> AbstractContextManager[object]:
        parents = [self.parent_of(turn.person_id, each.channel, each.message_id) for each in turn.messages]
        traced = list(filter(None, parents))
        if not traced:
            return nullcontext()
        first, *others = traced
        return self._spans.below(
            first,
            "turn",
            others,
            turn=turn.id,
            person=turn.person_id,
            messages=len(turn.messages),
            failed_attempts=turn.attempt_count,
        )

    def leased(self, lease: Lease, channel: str, waited: float) -> str:
        answered = lease.reply.answers_message_id
        parent = self.parent_of(lease.person_id, channel, answered) if answered else ""
        if parent:
            self._spans.past(parent, "outbox", waited, reply=lease.reply.id, turn=lease.reply.turn_id)
        return parent
