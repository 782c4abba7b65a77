"""The store's port for nodes: the kernel services that share one database, each with a row and a heartbeat."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

BEAT_SECONDS: Final = 1.0
GAP_SECONDS: Final = 2.0
"""A longer time between two beats of a node starts its regularity again: its own view may be old."""
LAPSE_SECONDS: Final = 3.0
"""A node without a beat for longer is dead: a regular node deletes its row."""


@dataclass(frozen=True, slots=True)
class Node:
    """A live kernel service. `address`: where gateways and other nodes reach it, `host:port`; empty: it starts.

    `schema`: the number of the newest migration that it contains. `channels`: those with a stream attached to it.
    `silence`: seconds since its last beat, at the time of this view.
    """

    id: str
    address: str
    schema: int
    started_at: float = 0.0
    silence: float = field(default=0.0, compare=False)
    is_draining: bool = False
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """The store's view at a beat. `now`: the database's time. `nodes`: the live ones, the oldest first.

    `removed`: the dead nodes that this beat removed.
    """

    now: float
    nodes: tuple[Node, ...]
    removed: tuple[str, ...] = ()


class NodeStore(Protocol):
    """All times are the database's own, so the clocks of machines do not matter."""

    async def join(self, node: Node, *, alone: bool) -> Beat:
        """Add this node. `alone`: no other process uses the database, so all other nodes are dead."""
        ...

    async def beat(self, node_id: str, channels: Sequence[str]) -> Beat | None:
        """Remove dead nodes if this node's own beats are regular, then beat. None: this node itself was removed."""
        ...

    async def announce(self, node_id: str, address: str) -> None:
        """Tell the others where this node is reached."""
        ...

    async def drain(self, node_id: str) -> None:
        """Announce that the node ends: no person's home is there any longer."""
        ...

    async def leave(self, node_id: str) -> None:
        """Remove the node. This frees its people."""
        ...
