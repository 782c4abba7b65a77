"""Notices between nodes of a test, which arrive at once or are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.cluster.notice_board import NoticeBoard

if TYPE_CHECKING:
    from collections.abc import Callable


class NoticeAir:
    """`is_lossy`: each notice is lost. `sent` counts them."""

    def __init__(self) -> None:
        self.is_lossy = False
        self.sent = 0
        self._heard: dict[str, tuple[Callable[[str], None], Callable[[], None]]] = {}

    def board(self, node_id: str) -> NoticeBoard:
        """The notices of this node."""
        board = NoticeBoard(_Antenna(self, node_id))
        board.begin(node_id)
        return board

    def carry(self, sender: str, to: str, text: str) -> None:
        self.sent += 1
        for node_id, (handler, _) in list(self._heard.items()):
            if node_id != sender and to in {"", node_id} and not self.is_lossy:
                handler(text)

    def hear(self, node_id: str, handler: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._heard[node_id] = handler, missed

    def interrupt(self) -> None:
        """Tell each node that notices may have been lost."""
        for _, missed in self._heard.values():
            missed()


class _Antenna:
    """Fills `NoticeTransport`."""

    dropped = 0

    def __init__(self, air: NoticeAir, node_id: str) -> None:
        self._air = air
        self._node_id = node_id

    def send(self, to: str, text: str) -> None:
        self._air.carry(self._node_id, to, text)

    def receive(self, me: str, handler: Callable[[str], None], missed: Callable[[], None]) -> None:
        self._air.hear(me, handler, missed)
