"""The nodes of the kernel service, as its streams name them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from kernel.v1 import channel_pb2

MOST_NODES: Final = 32
"""More nodes get no separate stream: the service allows a channel a limited number of streams."""


@dataclass(frozen=True, slots=True)
class Node:
    """One process of the kernel service. address is `host:port`; empty: unknown."""

    id: str
    address: str
    draining: bool = False


class Nodes:
    """The union of what the open streams say, since nodes may disagree for seconds. Each change calls `on_change`.

    Once no stream is open, what the last one said remains until another speaks.
    """

    def __init__(self) -> None:
        self._said: dict[Hashable, tuple[Node, ...]] = {}
        self._ended: Hashable = None
        self.on_change: Callable[[], None] = lambda: None

    @property
    def known(self) -> list[Node]:
        """The live nodes, at most MOST_NODES. A node drains as soon as one stream says so."""
        nodes: dict[str, Node] = {}
        for said in self._said.values():
            for node in said:
                if node.id not in nodes or node.draining:
                    nodes[node.id] = node
        return list(nodes.values())[:MOST_NODES]

    def is_draining(self, node_id: str) -> bool:
        """Whether it is about to end, and takes no further stream."""
        return any(node.id == node_id and node.draining for said in self._said.values() for node in said)

    def heard(self, stream: Hashable, nodes: Sequence[channel_pb2.ServingNode]) -> None:
        """A stream names the nodes; none: no change."""
        if nodes:
            self._said.pop(self._ended, None)
            self._said[stream] = tuple(Node(node.id, node.address, node.draining) for node in nodes if node.id)
        self.on_change()

    def ended(self, stream: Hashable) -> None:
        """The stream says nothing more."""
        if stream not in self._said:
            return
        if len(self._said) == 1:
            self._ended = stream
            return
        del self._said[stream]
        self.on_change()
