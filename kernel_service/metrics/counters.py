"""Counters as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily

if TYPE_CHECKING:
    from collections import Counter

    from prometheus_client import Metric


def counter_metric(name: str, text: str, label: str, counts: Counter[Any]) -> Metric:
    """One sample for each value of the label."""
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
