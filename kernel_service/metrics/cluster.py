"""The part of `/metrics` that shows a node among the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from kernel_service.metrics.counters import counter_metric

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from prometheus_client import Metric

    from kernel_service.cluster.membership import Membership
    from kernel_service.cluster.notice_board import NoticeBoard


class ClusterMetrics:
    """`moves`: see `KernelMap.moves`."""

    def __init__(self, membership: Membership, notices: NoticeBoard, moves: Counter[str]) -> None:
        self._membership = membership
        self._notices = notices
        self._moves = moves

    def collect(self) -> Iterable[Metric]:
        yield from self._nodes()
        text = "People who moved: taken from a dead or draining node, released to their home, lost to or refused by one"
        yield counter_metric("kernel_moves", text, "way", self._moves)
        yield from self._of_notices()

    def _nodes(self) -> Iterable[Metric]:
        nodes = GaugeMetricFamily("kernel_nodes", "Live kernel services, in this one's view", labels=["state"])
        draining = sum(node.is_draining for node in self._membership.nodes)
        nodes.add_metric(["serving"], len(self._membership.nodes) - draining)
        nodes.add_metric(["draining"], draining)
        yield nodes
        line = "Whether this kernel service is the leader, which does the periodic work of all"
        yield GaugeMetricFamily("kernel_leader", line, float(self._membership.is_leader))
        line = "Seconds since the last heartbeat; after 3 the other nodes take over its people"
        yield GaugeMetricFamily("kernel_beat_age_seconds", line, self._membership.silence)
        yield CounterMetricFamily("kernel_burials", "Dead nodes that this one removed", self._membership.removed_count)

    def _of_notices(self) -> Iterable[Metric]:
        yield counter_metric("kernel_notices_sent", "Notices to other nodes, by kind", "kind", self._notices.sent)
        yield counter_metric(
            "kernel_notices_received", "Notices from other nodes, by kind", "kind", self._notices.received
        )
        line = "Notices that could not be sent: too long, or the oldest in a full queue"
        yield CounterMetricFamily("kernel_notices_dropped", line, self._notices.dropped)
        line = "How often notices may have been lost: at the start, and at each new connection"
        yield CounterMetricFamily("kernel_notice_interruptions", line, self._notices.interruptions)
        lag = self._notices.lag
        yield HistogramMetricFamily(
            "kernel_notice_lag_seconds", "Delay from a notice's sender to this node", lag.cumulative(), lag.seconds
        )
