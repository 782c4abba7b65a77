"""The store's port for how a browser opens a chat, as its channel said last."""

from __future__ import annotations

from typing import Protocol


class ChatStore(Protocol):
    async def link(self, channel: str, address: str) -> str:
        """How a browser opens the chat: a URL with `{text}` in it; empty: not known."""
        ...

    async def keep_link(self, channel: str, address: str, link: str) -> None:
        """How a browser opens the chat there, from now on."""
        ...
