"""The last check before a call with side effects: no other node can have this node's people yet.

The store fences writes, but not calls to vendors. A process that was frozen between its intent and its call detects
here that its last beat is too old. The person's turn then waits for the next beat, or continues at another node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.errors import Busy
from kernel_service.ports.nodes import BEAT_SECONDS

if TYPE_CHECKING:
    from kernel_service.ports.cluster import Cluster

PROBLEM: Final = "no_heartbeat"


def check_fresh(cluster: Cluster) -> None:
    """Raises Busy unless this node's last beat is too recent for another node to have removed it."""
    if not cluster.is_fresh:
        raise Busy(PROBLEM, BEAT_SECONDS)
