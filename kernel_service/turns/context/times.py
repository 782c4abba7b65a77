"""When something was said, in the words that a model is told it in.

The time goes with each message and never into the instructions: what was sent once stays as it is, so that vendors find
the beginning of a request in their caches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.turns import TurnMessage

LATE_SECONDS: Final = 120.0
"""A message that is heard later than this after it was sent says when it is heard, too."""
AHEAD_SECONDS: Final = 60.0
"""How far a channel's clock may be ahead of ours, and its times are still believed."""
OLDEST_SECONDS: Final = 30 * 86_400.0
"""How long before its acceptance a message may have been sent."""


def sent_at(payload: Payload, accepted_at: float) -> float:
    """When a message was sent (epoch seconds): by its channel's time if that can be, else when it was accepted."""
    said = payload.sent_at
    if said is None:
        return accepted_at
    return said if -OLDEST_SECONDS <= said - accepted_at <= AHEAD_SECONDS else accepted_at


def in_words(at: float, zone: str) -> str:
    """`Monday, 2026-11-30 at 14:05, Europe/Vienna (UTC+01:00)`; `… at 13:05 UTC` where no zone is known."""
    there = zone_of(zone)
    moment = datetime.fromtimestamp(at, there or UTC)
    told = moment.strftime("%A, %Y-%m-%d at %H:%M")
    return f"{told}, {zone} (UTC{moment.isoformat()[-6:]})" if there else f"{told} UTC"


def stamp(message: TurnMessage, zone: str, now: float) -> str:
    """When a message was sent, and when it is heard if that is much later."""
    sent = sent_at(message.payload, message.accepted_at)
    late = f"; you get it on {in_words(now, zone)}" if now - sent > LATE_SECONDS else ""
    return f"[Sent on {in_words(sent, zone)}{late}]"
