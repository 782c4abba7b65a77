"""The store's port for the links that open a chat in a browser, as last reported by its channel."""

from __future__ import annotations

from typing import Protocol


class ChatStore(Protocol):
    async def link(self, channel: str, address: str) -> str:
        """The URL that opens the chat in a browser, with `{text}` in it; empty: unknown."""
        ...

    async def keep_link(self, person_id: str, channel: str, address: str, link: str) -> None:
        """Keep the URL that opens the chat in a browser, unless the person who wrote there was deleted meanwhile."""
        ...
