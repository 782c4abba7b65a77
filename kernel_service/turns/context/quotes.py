"""The quoted content of a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.model import Quote
from kernel_service.turns.context import times

if TYPE_CHECKING:
    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.turns import TurnMessage


async def quote_of(quotes: QuoteStore, person_id: str, message: TurnMessage, zone: str) -> Quote | None:
    """The content that this message quotes; None: it quotes nothing, or the content is unknown."""
    quoted = await quotes.find(person_id, message.channel, message.address, message.payload.quoted_message_id)
    if quoted is None:
        return None
    return Quote(quoted.payload, quoted.ours, times.in_words(times.sent_at(quoted.payload, quoted.at), zone))
