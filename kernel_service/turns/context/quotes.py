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
    """The content of the message, with what it quotes as `quoted` (see model.user_item) where that is known."""
    message_id = content.get("quoted_message_id")
    if not message_id:
        return content
    quoted = await quotes.find(person_id, message.channel, message.address, message_id)
    if quoted is None:
        return content
    said = times.in_words(times.sent_at(quoted.content, quoted.at), zone)
    return content | {"quoted": {"content": quoted.content, "ours": quoted.ours, "time": said}}
