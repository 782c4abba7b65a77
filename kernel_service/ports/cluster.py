"""The view that a node has of the others: who is alive, where a person's home is, who leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kernel_service.ports.nodes import Node


class Cluster(Protocol):
    """The view of the latest beat. It may be a second old, and other nodes may see another one."""

    @property
    def me(self) -> str:
        """This node's id. It is never reused: a restarted process has another one."""
        ...

    @property
    def nodes(self) -> Sequence[Node]:
        """The live nodes, the oldest first, with this one."""
        ...

    @property
    def is_alone(self) -> bool:
        """Whether no other node is in the view."""
        ...

    def home_of(self, person_id: str) -> str:
        """The id of the node that should own the person: the same on all nodes with the same view."""
        ...

    def is_alive(self, node_id: str) -> bool:
        """Whether the node is in the view. A draining node is alive."""
        ...

    @property
    def leader(self) -> str:
        """The id of the node that does what one node should do. A hint: two may believe it for a while, or none."""
        ...

    @property
    def is_leader(self) -> bool:
        """Whether this node is the leader."""
        ...

    @property
    def is_fresh(self) -> bool:
        """Whether no other node can have removed this one, by its own steady clock."""
        ...

    @property
    def silence(self) -> float:
        """Seconds since this node's last beat, by its own steady clock."""
        ...

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change of the set of live nodes, of an address, or of which of them drain."""
        ...
