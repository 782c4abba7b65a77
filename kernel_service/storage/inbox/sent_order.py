"""The order of what a person sent: by the channel's time as far as it is believed, then by arrival."""

from __future__ import annotations

from typing import Final

from kernel_service.storage.schema.inbox import message

SENT_ORDER: Final = (message.c.sent_at, message.c.seq)

BELIEVED_SECONDS: Final = 6 * 3600.0
"""How long before its acceptance a message may have been sent. An older or a wrong time overtakes nothing for ever."""
GRAIN_SECONDS: Final = 1.0
"""WhatsApp's times are whole seconds, rounded down: of two in the same second nobody knows which was sent first."""


def believed(sent_at: float | None, accepted_at: float) -> float:
    """The time that a message counts as sent: its channel's, but never after its acceptance, nor long before."""
    if sent_at is None:
        return accepted_at
    return min(max(sent_at, accepted_at - BELIEVED_SECONDS), accepted_at)


def is_believed(sent_at: float | None, accepted_at: float) -> bool:
    """Whether a channel's time is not so old that it may be anything."""
    return sent_at is not None and sent_at >= accepted_at - BELIEVED_SECONDS


def surely_before(one: float, other: float) -> bool:
    """Whether what was sent at `one` was sent before what was sent at `other`, whichever channels they came by."""
    return one + GRAIN_SECONDS <= other
