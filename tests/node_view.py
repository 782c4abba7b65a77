"""A node's view of a cluster, and the notices that it sends, for tests of what depends on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.notices import NodeNotice, NoticeKind

ME = "k_me"


def node(node_id: str, *, is_draining: bool = False) -> Node:
    """A node that serves."""
    return Node(node_id, f"{node_id}:50051", 27, is_draining=is_draining)


class View:
    """Fills `Cluster`. Everybody's home is the first node that does not drain, unless `homes` names another one."""

    def __init__(self, *nodes: str) -> None:
        self.me = ME
        self.nodes: Sequence[Node] = [Node(name, "", 0) for name in nodes or (ME,)]
        self.homes: dict[str, str] = {}
        self.is_leader = True
        self.is_fresh = True
        self.silence = 0.0
        self.changed: list[Callable[[], None]] = []

    @property
    def is_alone(self) -> bool:
        return len(self.nodes) == 1

    @property
    def leader(self) -> str:
        return self.me if self.is_leader else self.nodes[0].id

    @classmethod
    def of(cls, me: Node, *others: Node) -> View:
        """From these nodes. The first one is this node."""
        view = cls()
        view.me = me.id
        view.nodes = [me, *others]
        return view

    def change(self, *nodes: Node) -> None:
        self.nodes = nodes
        for told in self.changed:
            told()

    def home_of(self, person_id: str) -> str:
        return self.homes.get(person_id, self.nodes[0].id)

    def is_alive(self, node_id: str) -> bool:
        return any(node.id == node_id for node in self.nodes)

    def on_change(self, callback: Callable[[], None]) -> None:
        self.changed.append(callback)


class Board:
    """Fills `Notices`. `told`: node (empty: all others) and notice. `receive` calls the handlers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, NodeNotice]] = []
        self._handlers: dict[NoticeKind, list[Callable[[NodeNotice], None]]] = {}
        self.missed: list[Callable[[], None]] = []

    def send(self, node_id: str, notice: NodeNotice) -> None:
        self.told.append((node_id, notice))

    def send_to_all(self, notice: NodeNotice) -> None:
        self.send("", notice)

    def on(self, kind: NoticeKind, handler: Callable[[NodeNotice], None]) -> None:
        self._handlers.setdefault(kind, []).append(handler)

    def on_missed(self, handler: Callable[[], None]) -> None:
        self.missed.append(handler)

    def receive(self, notice: NodeNotice) -> None:
        for handler in self._handlers.get(notice.kind, []):
            handler(notice)
