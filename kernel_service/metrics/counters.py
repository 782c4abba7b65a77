"""Counters and histograms as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from prometheus_client import Metric

    from kernel_service.rate_limits.wait_histogram import Latencies


def counter_metric(name: str, text: str, label: str, counts: Counter[Any]) -> Metric:
    """One sample for each value of the label."""
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def histogram_metric(name: str, text: str, labels: Sequence[str], latencies: Latencies) -> Metric:
    """One histogram for each combination of the labels that occurred."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in latencies.items():
        family.add_metric(values, histogram.cumulative(), histogram.seconds)
    return family
