"""The rotation of the sealing keys, of which every node learns: opened keys that it has in memory are outdated then."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from kernel_service.ports.keys import KeyStore, Rotated
    from kernel_service.ports.notices import Notices


class KeyRotation:
    """A lost notice costs strictness alone: a node opens the earlier form of a value until it forgets its keys."""

    def __init__(self, store: KeyStore, notices: Notices) -> None:
        self._store = store
        self._notices = notices
        notices.on(NoticeKind.KEYS, lambda _: store.forget_opened())
        notices.on_missed(store.forget_opened)

    async def rotate(self) -> AsyncGenerator[Rotated]:
        """As `KeyStore.rotate`. The other nodes are told at its end, also of an interrupted one."""
        try:
            async with aclosing(self._store.rotate()) as rotating:
                async for done in rotating:
                    yield done
        finally:
            self._notices.tell_all(NodeNotice(NoticeKind.KEYS))
