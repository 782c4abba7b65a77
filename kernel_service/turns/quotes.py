"""What a message quotes, put beside it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from kernel_service.kernels.store import JournalStore, TurnMessage


async def with_quote(
    store: JournalStore, person_id: str, message: TurnMessage, content: dict[str, Any]
) -> dict[str, Any]:
    """The content of the message, with what it quotes as `quoted` (see Quoted) where that is known."""
    message_id = content.get("quoted_message_id")
    if not message_id:
        return content
    quoted = await store.quoted(person_id, message.channel, message.address, message_id)
    return content | {"quoted": asdict(quoted)} if quoted else content
