"""A vendor's quota is one for all nodes: each takes an equal part, and all of them pause when the vendor requests it of
one.

The parts change with the view of the nodes. Views differ for about a second after a node has come or gone, so that all
parts together may exceed the quota for as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kernel_service.ports.notices import NodeNotice, NoticeKind
from kernel_service.rate_limits.fair_queue import MAX_PAUSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_service.ports.cluster import Cluster
    from kernel_service.ports.notices import Notices
    from kernel_service.rate_limits.fair_queue import FairQueue


def share_quota(queues: Iterable[FairQueue], cluster: Cluster, notices: Notices) -> None:
    """Connect this node's queues with those of the other nodes."""
    for queue in queues:
        _Shared(queue, cluster, notices)


class _Shared:
    def __init__(self, queue: FairQueue, cluster: Cluster, notices: Notices) -> None:
        self._queue: Final = queue
        self._cluster: Final = cluster
        self._notices: Final = notices
        queue.on_pause = self._announce
        notices.on(NoticeKind.REST, self._rest)
        cluster.on_change(self._share)
        self._share()

    def _share(self) -> None:
        # A node without an address is starting, and sends no requests to a vendor yet.
        serving = [node for node in self._cluster.nodes if node.address or node.id == self._cluster.me]
        self._queue.share(len(serving))

    def _announce(self, seconds: float) -> None:
        self._notices.send_to_all(NodeNotice(NoticeKind.REST, self._queue.vendor, (seconds,)))

    def _rest(self, notice: NodeNotice) -> None:
        if notice.subject == self._queue.vendor and notice.numbers:
            self._queue.pause(min(notice.numbers[0], MAX_PAUSE_SECONDS))
