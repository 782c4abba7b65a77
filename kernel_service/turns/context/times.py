"""The time of a message, as a sentence for the model.

The time goes with each message and not into the instructions: content that was sent once never changes, so that vendors
find the beginning of a request in their caches.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from kernel_service.ports.payloads import Scheduled
from kernel_service.zones import zone_of

if TYPE_CHECKING:
    from kernel_service.ports.payloads import Payload
    from kernel_service.ports.turns import TurnMessage

LATE_SECONDS: Final = 120.0
"""A message that reaches the model later than this after it was sent also carries the current time."""
AHEAD_SECONDS: Final = 60.0
"""How far a channel's clock may be ahead of ours before its times are ignored."""
OLDEST_SECONDS: Final = 30 * 86_400.0
"""The longest time between sending and acceptance before the channel's time is ignored."""


def sent_at(payload: Payload, accepted_at: float) -> float:
    """When a message was sent (epoch seconds): the channel's time if it is plausible, else the time of acceptance."""
    said = payload.sent_at
    if said is None:
        return accepted_at
    return said if -OLDEST_SECONDS <= said - accepted_at <= AHEAD_SECONDS else accepted_at


def in_words(at: float, zone: str) -> str:
    """`Monday, 2026-11-30 at 14:05, Europe/Vienna (UTC+01:00)`; `… at 13:05 UTC` if the zone is unknown."""
    there = zone_of(zone)
    moment = datetime.fromtimestamp(at, there or UTC)
    told = moment.strftime("%A, %Y-%m-%d at %H:%M")
    return f"{told}, {zone} (UTC{moment.isoformat()[-6:]})" if there else f"{told} UTC"


def stamp(message: TurnMessage, zone: str, now: float) -> str:
    """When a message was sent, and the current time if that is much later."""
    content = message.payload.content
    if isinstance(content, Scheduled):
        how, sent = "Due", content.due_at
    else:
        how, sent = "Sent", sent_at(message.payload, message.accepted_at)
    late = f"; you get it on {in_words(now, zone)}" if now - sent > LATE_SECONDS else ""
    return f"[{how} on {in_words(sent, zone)}{late}]"
