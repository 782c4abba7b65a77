"""The metrics of both services while nothing happens: their names, types, texts and labels."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.cluster.notice_board import NoticeBoard
from kernel_service.kernels.person_tasks import PersonTasks
from kernel_service.metrics.cluster import ClusterMetrics
from kernel_service.metrics.endpoint import Metrics
from kernel_service.metrics.work import WorkMetrics
from kernel_service.models.outages import Outages
from kernel_service.ports.admin import Backlog
from kernel_service.rate_limits.wait_histogram import Latencies, WaitHistogram
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.turns.counters import TurnCounters
from serving.listening import Address
from whatsapp_gateway.metrics import Metrics as GatewayMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDS = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}


class Family(NamedTuple):
    """`names`: under which Prometheus stores it. `labels`: without those of a scrape, and `le` of a histogram."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        return [f"{self.name}{end}" for end in _ENDS.get(self.kind, [""])]


class Nothing:
    """A kernel map, or a queue, that is empty."""

    vendor, waiting, activations = "model", 0, 0

    def __init__(self) -> None:
        self.evictions: Counter[str] = Counter()
        self.wait_histogram = WaitHistogram()

    def resident(self) -> list[Any]:
        return []

    def __len__(self) -> int:
        return 0


def kernel_families() -> list[Family]:
    return _families(kernel_metrics().collect(), {})


def gateway_families() -> list[Family]:
    registry = gateway_metrics().registry
    return _families(registry.collect(), dict(registry._names_to_collectors))  # noqa: SLF001 - a family forgets labels


def _families(collected: Iterable[Any], collectors: dict[str, Any]) -> list[Family]:
    return [
        Family(each.name, each.type, each.documentation, _labels(each, collectors.get(each.name, each)))
        for each in collected
    ]


def _labels(family: Any, collector: Any) -> tuple[str, ...]:
    return ("version",) if family.type == "info" else tuple(getattr(collector, "_labelnames", ()))


def gateway_metrics() -> GatewayMetrics:
    """With the value that only the wiring can show."""
    metrics = GatewayMetrics()
    metrics.show("kernel_streams", "Open streams to nodes of the kernel service", lambda: 0)
    return metrics


def kernel_metrics() -> Metrics:
    empty, people = Nothing(), SimpleNamespace(links=Counter())
    parts: list[Any] = [empty, people, None]
    counts = ("connects", "refused_events", "refused_tokens", "refused_calls")
    counters: dict[str, Any] = {name: Counter() for name in counts}
    cluster: Any = SimpleNamespace(nodes=[], is_leader=True, silence=0.0, removed_count=0)
    queues: Any = [empty]
    metrics = Metrics(
        Address("", 0),
        *parts,
        turns=TurnCounters(),
        queues=queues,
        outages=Outages(),
        flaws=Counter(),
        cluster=ClusterMetrics(cluster, NoticeBoard(None), Counter()),
        work=_work_metrics(),
        backlog=_no_backlog,
        **counters,
    )
    metrics._kept_apart = 0  # noqa: SLF001 - read from the database before each page
    return metrics


def _work_metrics() -> WorkMetrics:
    async def serve(_: str) -> None: ...

    turns, calls, model = TurnCounters(), ChannelAdmission(ChannelLimits()), Latencies()
    metrics = WorkMetrics(turns, PersonTasks(serve, max_running=1), calls, model, [OutageLog("read")], max_turns=1)
    metrics.backlog = Backlog(0, 0.0, 0, 0.0, 0)
    return metrics


async def _no_backlog() -> None:
    return None
