"""`/metrics` and `/healthz` on a separate port."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily

from kernel_service.errors import StoreUnavailable
from kernel_service.metrics.counters import counter_metric
from kernel_service.models.outages import ALERTS
from serving.listening import http_served
from serving.public_http import public_app
from serving.version import VERSION

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence

    from prometheus_client import Metric

    from kernel_service.kernels.kernel import Kernel
    from kernel_service.kernels.kernel_map import KernelMap
    from kernel_service.metrics.cluster import ClusterMetrics
    from kernel_service.metrics.work import WorkMetrics
    from kernel_service.models.outages import Outages
    from kernel_service.people.people import People
    from kernel_service.ports.admin import Backlog
    from kernel_service.rate_limits.fair_queue import FairQueue
    from kernel_service.turns.counters import TurnCounters
    from serving.listening import Address


_SAMPLE: Final = 1000
"""Kernels whose bytes are read at a time."""


class Metrics:
    """Reads the counters of other parts on request. `collect` implements the collector protocol of prometheus_client.

    `connects` counts attempts to connect by their end, `refused_events` Composio's events by reason, `refused_tokens`
    calls by reason, and `refused_calls` calls by channel. `queues` are the vendors', `outages` and `flaws` the
    model's. `backlog` returns None at a node that does not read it.
    """

    def __init__(
        self,
        listen: Address,
        kernels: KernelMap,
        people: People,
        ping: Callable[[], Awaitable[None]],
        *,
        turns: TurnCounters,
        connects: Counter[str],
        refused_events: Counter[str],
        queues: Sequence[FairQueue],
        outages: Outages,
        flaws: Counter[str],
        refused_tokens: Counter[str],
        refused_calls: Counter[str],
        cluster: ClusterMetrics,
        work: WorkMetrics,
        backlog: Callable[[], Awaitable[Backlog | None]],
    ) -> None:
        self._cluster = cluster
        self._work = work
        self._backlog = backlog
        self._refused_tokens = refused_tokens
        self._refused_calls = refused_calls
        self._listen = listen
        self._connects = connects
        self._refused_events = refused_events
        self._kernels = kernels
        self._turns = turns
        self._queues = queues
        self._outages = outages
        self._flaws = flaws
        self._people = people
        self._kept_apart: int | None = None
        self._ping = ping
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def collect(self) -> Iterable[Metric]:
        yield InfoMetricFamily("kernel_build", "The running release", {"version": VERSION})
        yield GaugeMetricFamily("kernel_resident", "Kernels in memory", len(self._kernels))
        line = "Bytes of the kernels in memory; estimated from a sample above a thousand kernels"
        yield GaugeMetricFamily("kernel_resident_bytes", line, _bytes_of(self._kernels.resident()))
        yield CounterMetricFamily("kernel_activations", "Kernels activated", self._kernels.activations)
        yield counter_metric("kernel_evictions", "Kernels evicted, by reason", "reason", self._kernels.evictions)
        line = "People who wait for one of KERNEL_MAX_TURNS turns"
        yield GaugeMetricFamily("kernel_turn_queue", line, self._kernels.waiting)
        yield counter_metric("kernel_turns", "Attempts of turns, by outcome", "outcome", self._turns.outcomes)
        text = "Turns whose person was informed that the service is busy"
        yield CounterMetricFamily("kernel_busy_notices", text, self._turns.busy_notices)
        text = "Tools left out because the model's vendor refuses them, by name; other: all beyond a hundred names"
        yield counter_metric("kernel_refused_tools", text, "tool", self._turns.refused_tools)
        text = "Changes of a request after a refusal of the model, by kind"
        yield counter_metric("kernel_model_recoveries", text, "way", self._turns.recoveries)
        yield counter_metric("kernel_refused_tokens", "Calls refused for their token", "reason", self._refused_tokens)
        text = "Calls refused because their channel had too many open; empty: calls without a token"
        yield counter_metric("kernel_refused_calls", text, "channel", self._refused_calls)
        yield from self._cluster.collect()
        yield from self._work.collect()
        yield from _outages(self._outages)
        text = "Answers of the model that were empty or malformed, by the flaw in their form"
        yield counter_metric("kernel_model_flaws", text, "flaw", self._flaws)
        yield from _queues(self._queues)
        text = "Attempts to connect an account, by outcome; check wrong_person and wrong_codes"
        yield counter_metric("kernel_connect_attempts", text, "outcome", self._connects)
        text = "Events of Composio that were refused: too_large, stalled, wrong_signature"
        yield counter_metric("kernel_refused_events", text, "reason", self._refused_events)
        yield counter_metric(
            "kernel_identity_links", "Changed ids that channels reported, by outcome", "outcome", self._people.links
        )
        if self._kept_apart is not None:
            text = "Pairs of people who may be one and both have connections: an operator decides"
            yield GaugeMetricFamily("kernel_people_kept_apart", text, self._kept_apart)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Serves inside the block. Yields the port. CannotListenError."""
        app = public_app()
        app.add_routes([web.get("/metrics", self._metrics), web.get("/healthz", self._healthz)])
        async with http_served(app, "KERNEL_METRICS_LISTEN", self._listen) as port:
            yield port

    async def _metrics(self, _: web.Request) -> web.Response:
        self._kept_apart, self._work.backlog = await self._pairs(), await self._waiting()
        return web.Response(body=generate_latest(self._registry), content_type="text/plain")

    async def _pairs(self) -> int | None:
        """None while the database does not answer: the other metrics are still useful."""
        try:
            return await self._people.kept_apart_pairs()
        except StoreUnavailable:
            return None

    async def _waiting(self) -> Backlog | None:
        try:
            return await self._backlog()
        except StoreUnavailable:
            return None

    async def _healthz(self, _: web.Request) -> web.Response:
        try:
            await self._ping()
        except StoreUnavailable:
            return web.Response(status=503, text="the database does not answer\n")
        return web.Response(text="ok\n")


def _outages(outages: Outages) -> Iterable[Metric]:
    text = "Requests that the model's vendor did not serve, by problem"
    yield counter_metric("kernel_model_unavailable", text, "problem", outages.refused)
    line = "Whether messages wait for an operator to fix this at the model's vendor: alert on 1"
    lasting = GaugeMetricFamily("kernel_model_outage", line, labels=["problem"])
    for problem in ALERTS:
        lasting.add_metric([problem], float(problem in outages.lasting))
    yield lasting


def _queues(queues: Sequence[FairQueue]) -> Iterable[Metric]:
    line = GaugeMetricFamily("kernel_vendor_queue", "Requests that wait for their turn at a vendor", labels=["vendor"])
    text = "How long people's requests waited for their turn at a vendor"
    waits = HistogramMetricFamily("kernel_vendor_wait_seconds", text, labels=["vendor"])
    for queue in queues:
        line.add_metric([queue.vendor], len(queue))
        waits.add_metric([queue.vendor], queue.wait_histogram.cumulative(), queue.wait_histogram.seconds)
    return line, waits


def _bytes_of(kernels: Collection[Kernel]) -> float:
    """A sample, because reading the metrics must not take longer with more people."""
    sample = [*islice(kernels, 0, None, len(kernels) // _SAMPLE + 1)]
    return sum(kernel.bytes for kernel in sample) / max(1, len(sample)) * len(kernels)
