"""Rotates the sealing keys, and notifies every node, since the opened keys in its memory are outdated then."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kernel_service.ports.keys import KeyStore, Rotated
    from kernel_service.ports.notices import Notices


class KeyRotation:
    """If a notice is lost, a node also opens the earlier form of a value, until it drops its keys."""

    def __init__(self, store: KeyStore, notices: Notices) -> None:
        self._store = store
        self._notices = notices
        notices.on(NoticeKind.KEYS, lambda _: store.forget_opened())
        notices.on_missed(store.forget_opened)

    async def rotate(self) -> AsyncGenerator[Rotated]:
        """As `KeyStore.rotate`. The other nodes are notified at its end, even if it was interrupted."""
        try:
            async with aclosing(self._store.rotate()) as rotating:
                async for done in rotating:
                    yield done
        finally:
            self._notices.send_to_all(NodeNotice(NoticeKind.KEYS))
