"""The samples of durations, places and the store."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.errors import Exhausted, NotFound
from kernel_service.kernels.person_tasks import PersonTasks
from kernel_service.metrics.work import WorkMetrics
from kernel_service.rate_limits.wait_histogram import Latencies
from kernel_service.storage.engine.outage_log import OutageLog
from kernel_service.turns.counters import TurnCounters


class Page:
    """The metrics of parts that the tests drive."""

    def __init__(self) -> None:
        async def serve(_: str) -> None: ...

        self.calls = ChannelAdmission(ChannelLimits(calls=1))
        self.reading, self.writing = OutageLog("read"), OutageLog("write")
        tasks, store = PersonTasks(serve, max_running=4), [self.reading, self.writing]
        self._registry = CollectorRegistry()
        work = WorkMetrics(TurnCounters(), tasks, self.calls, Latencies(), store, max_turns=4)
        self._registry.register(work)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(name, labels)


def test_an_outage_of_reading_or_writing_is_one_of_the_store() -> None:
    page = Page()
    assert (page("kernel_store_unavailable"), page("kernel_store_outages_total")) == (0, 0)
    for _ in range(3):
        page.writing.failed("connection refused")
    assert (page("kernel_store_unavailable"), page("kernel_store_outages_total")) == (1, 1)
    page.reading.failed("connection refused")
    page.writing.succeeded()
    assert (page("kernel_store_unavailable"), page("kernel_store_outages_total")) == (1, 2)
    page.reading.succeeded()
    assert page("kernel_store_unavailable") == 0


def test_calls_are_counted_by_rpc_and_status() -> None:
    page = Page()
    with page.calls.call("telegram", "GetKernel"):
        assert page("kernel_open_calls", channel="telegram", kind="call") == 1
        with pytest.raises(Exhausted), page.calls.call("telegram", "GetKernel"):
            pass
    with pytest.raises(NotFound), page.calls.call("telegram", "GetKernel"):
        raise NotFound("PERSON_NOT_FOUND", "no such person")
    for status in ("OK", "RESOURCE_EXHAUSTED", "NOT_FOUND"):
        assert page("kernel_rpc_seconds_count", method="GetKernel", status=status) == 1
    assert page("kernel_open_calls", channel="telegram", kind="call") is None


def test_strangers_are_one_channel_without_their_addresses() -> None:
    page = Page()
    with page.calls.taken("@ipv4:10.0.0.1", "Check"), page.calls.taken("@ipv4:10.0.0.2", "Check"):
        assert page("kernel_open_calls", channel="", kind="call") == 2
