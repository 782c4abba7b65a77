"""READY notices: nodes notify each other that a channel has something to lease, or that a stream has credit again.

Each goes only to nodes with a stream of the channel. All may be lost: each stream polls once a second in any case.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from kernel_service.outbox.paced import Paced
from kernel_service.ports.lease_tokens import mark_of
from kernel_service.ports.notices import NodeNotice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices

LEAST_PAUSE_SECONDS: Final = 0.02
"""Between two notices, or two polls that notices cause, of the same channel."""


class Ready(StrEnum):
    """The `detail` of the notice."""

    REPLIES = "replies"
    """A reply is pending."""
    CREDIT = "credit"
    """A lease of this node was settled at another one."""
    FILES = "files"
    """A file is wanted."""


class ReadyNotices:
    """One per process. `poll` is called for each notice of another node."""

    def __init__(self, cluster: Cluster, notices: Notices, poll: Callable[[str, Ready], None]) -> None:
        self._cluster = cluster
        self._notices = notices
        self._send_paced = Paced[tuple[str, str, Ready]](self._send_now, LEAST_PAUSE_SECONDS)
        self._notify = Paced[tuple[str, Ready]](lambda ready: poll(*ready), LEAST_PAUSE_SECONDS)
        notices.on(NoticeKind.READY, self._receive)

    def connected_elsewhere(self) -> set[str]:
        """The channels that have a stream at another node."""
        return {channel for node in self._cluster.nodes if node.id != self._cluster.me for channel in node.channels}

    def send(self, channel: str, what: Ready) -> None:
        """Notify all other nodes to which the channel is attached."""
        for node in self._cluster.nodes:
            if node.id != self._cluster.me and channel in node.channels:
                self._send_paced((node.id, channel, what))

    def send_credit(self, channel: str, marks: Container[str]) -> None:
        """Notify the other nodes among those with these marks."""
        for node in self._cluster.nodes:
            if node.id != self._cluster.me and mark_of(node.id) in marks:
                self._send_paced((node.id, channel, Ready.CREDIT))

    def _send_now(self, ready: tuple[str, str, Ready]) -> None:
        node_id, channel, what = ready
        self._notices.send(node_id, NodeNotice(NoticeKind.READY, channel, detail=what))

    def _receive(self, notice: NodeNotice) -> None:
        with suppress(ValueError):  # it is of a newer release
            self._notify((notice.subject, Ready(notice.detail)))
