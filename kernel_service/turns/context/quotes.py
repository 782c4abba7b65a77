"""What a message quotes, put beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.turns.context import times

if TYPE_CHECKING:
    from typing import Any

    from kernel_service.ports.quotes import QuoteStore
    from kernel_service.ports.turns import TurnMessage


async def with_quote(
    quotes: QuoteStore, person_id: str, message: TurnMessage, content: dict[str, Any], zone: str
) -> dict[str, Any]:
    """The content of a message that quotes another, with what it quotes as `quoted` (see model.user_item) if known."""
    quoted = await quotes.find(person_id, message.channel, message.address, content["quoted_message_id"])
    if quoted is None:
        return content
    said = times.in_words(times.sent_at(quoted.content, quoted.at), zone)
    return content | {"quoted": {"content": quoted.content, "ours": quoted.ours, "time": said}}
