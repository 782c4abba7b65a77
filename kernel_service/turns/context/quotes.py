"""What a message quotes, put beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.model import Quote
from kernel_service.turns.context import times

if TYPE_CHECKING:
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.turns import TurnMessage


async def quote_of(quotes: QuoteStore, person_id: str, message: TurnMessage, zone: str) -> Quote | None:
    """What a message that quotes another quotes; None: it is not known."""
    quoted = await quotes.find(person_id, message.channel, message.address, message.payload.quoted_message_id)
    if quoted is None:
        return None
    return Quote(quoted.payload, quoted.ours, times.in_words(times.sent_at(quoted.payload, quoted.at), zone))
