"""A view of nodes that a test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_service.ports.nodes import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def node(node_id: str, address: str = "", *, is_draining: bool = False) -> Node:
    return Node(node_id, address or f"{node_id}:50051", 27, is_draining=is_draining)


class SetCluster:
    """Fills `Cluster`. The first node is this one, the leader and everybody's home."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes: Sequence[Node] = nodes or (node("n0"),)
        self.is_fresh = True
        self.silence = 0.0
        self._told: list[Callable[[], None]] = []

    def change(self, *nodes: Node) -> None:
        self.nodes = nodes
        for told in self._told:
            told()

    @property
    def me(self) -> str:
        return self.nodes[0].id

    @property
    def leader(self) -> str:
        return self.me

    @property
    def is_leader(self) -> bool:
        return True

    def home_of(self, _: str) -> str:
        return self.me

    def is_alive(self, node_id: str) -> bool:
        return any(node.id == node_id for node in self.nodes)

    def on_change(self, told: Callable[[], None]) -> None:
        self._told.append(told)
