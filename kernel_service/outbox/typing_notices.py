"""TYPING notices: a node works on messages at an address that only streams at other nodes serve."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices


class TypingNotices:
    """One per process. `is_here(channel, address)`: whether a stream at this node serves the address."""

    def __init__(self, cluster: Cluster, notices: Notices, is_here: Callable[[str, str], bool]) -> None:
        self._cluster = cluster
        self._notices = notices
        self._is_here = is_here
        self._shown: set[asyncio.Task[None]] = set()

    def send(self, channel: str, address: str, seq: int) -> bool:
        """Notify the other nodes that have the channel. False: no other node exists, or a stream here serves the
        address.

        True even if none has the channel: a stream may open there while the work lasts.
        """
        others = [node for node in self._cluster.nodes if node.id != self._cluster.me]
        if not others or self._is_here(channel, address):
            return False
        for node in others:
            if channel in node.channels:
                self._notices.send(node.id, NodeNotice(NoticeKind.TYPING, channel, (seq,)))
        return True

    def show_by(self, show: Callable[[str, int], Coroutine[None, None, None]]) -> None:
        """Call `show` for each notice of another node."""

        def receive(notice: NodeNotice) -> None:
            for seq in notice.numbers:
                task = asyncio.create_task(show(notice.subject, int(seq)))
                self._shown.add(task)
                task.add_done_callback(self._shown.discard)

        self._notices.on(NoticeKind.TYPING, receive)
