"""The metrics of a node among the others."""

from __future__ import annotations

from collections import Counter
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.metrics.cluster import ClusterMetrics
from kernel_service.ports.notices import NoticeKind
from tests.node_view import View, node


def shown(membership: Any, notices: NoticeBoard, moves: Counter[str]) -> set[str]:
    registry = CollectorRegistry()
    registry.register(ClusterMetrics(membership, notices, moves))
    return set(generate_latest(registry).decode().splitlines())


def test_a_node_shows_the_others_and_its_own_part() -> None:
    view: Any = View.of(node("n0"), node("n1"), node("n2", is_draining=True))
    view.silence, view.removed_count = 1.25, 2
    notices = NoticeBoard(None)
    notices.sent[NoticeKind.WAKE] += 4
    notices.received[NoticeKind.READY] += 5
    notices.interruptions = 6
    notices.lag.note(0.05)
    assert shown(view, notices, Counter(taken=1, released=2, lost=3)) >= {
        'kernel_nodes{state="serving"} 2.0',
        'kernel_nodes{state="draining"} 1.0',
        "kernel_leader 1.0",
        "kernel_beat_age_seconds 1.25",
        "kernel_burials_total 2.0",
        'kernel_moves_total{way="taken"} 1.0',
        'kernel_moves_total{way="released"} 2.0',
        'kernel_moves_total{way="lost"} 3.0',
        'kernel_notices_sent_total{kind="wake"} 4.0',
        'kernel_notices_received_total{kind="ready"} 5.0',
        "kernel_notices_dropped_total 0.0",
        "kernel_notice_interruptions_total 6.0",
        'kernel_notice_lag_seconds_bucket{le="0.1"} 1.0',
    }


def test_another_leader_is_not_this_node() -> None:
    view: Any = View.of(node("n0"), node("n1"))
    view.is_leader, view.removed_count = False, 0
    assert "kernel_leader 0.0" in shown(view, NoticeBoard(None), Counter())
