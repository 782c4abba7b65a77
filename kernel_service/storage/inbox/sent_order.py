"""The order in which a person sent messages: by the channel's time as far as it is trusted, then by arrival."""

from __future__ import annotations

from typing import Final

from kernel_service.storage.schema.inbox import message

SENT_ORDER: Final = (message.c.sent_at, message.c.seq)

BELIEVED_SECONDS: Final = 6 * 3600.0
"""How long before its acceptance a message may have been sent. So an old or wrong time cannot overtake for ever."""
GRAIN_SECONDS: Final = 1.0
"""WhatsApp's times are whole seconds, rounded down: the order within a second is unknown."""


def believed(sent_at: float | None, accepted_at: float) -> float:
    """The effective send time: the channel's, but never after the acceptance, nor long before it."""
    if sent_at is None:
        return accepted_at
    return min(max(sent_at, accepted_at - BELIEVED_SECONDS), accepted_at)


def is_believed(sent_at: float | None, accepted_at: float) -> bool:
    """Whether the channel's time is recent enough to be plausible."""
    return sent_at is not None and sent_at >= accepted_at - BELIEVED_SECONDS


def surely_before(one: float, other: float) -> bool:
    """Whether `one` was certainly sent before `other`, whichever channels they came by."""
    return one + GRAIN_SECONDS <= other
