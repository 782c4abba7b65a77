"""The part of `/metrics` that shows durations, saturation, and whether the store is available."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from kernel_service.metrics.counters import histogram_metric

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence

    from prometheus_client import Metric

    from kernel_service.kernels.person_tasks import PersonTasks
    from kernel_service.ports.admin import Backlog
    from kernel_service.rate_limits.wait_histogram import Latencies
    from kernel_service.turns.counters import TurnCounters


class StoreOutages(Protocol):
    """Of one kind of access to the store: whether an outage lasts, and the number of outages so far."""

    lasts: bool
    count: int


class Calls(Protocol):
    """Calls of channels: durations by rpc and status, and the number of open ones by channel and kind."""

    seconds: Latencies

    @property
    def open(self) -> Counter[tuple[str, str]]: ...


class WorkMetrics:
    """Reads what the other parts record. `backlog` is set before a page is made, and None where it is unknown."""

    def __init__(
        self,
        turns: TurnCounters,
        tasks: PersonTasks,
        calls: Calls,
        model: Latencies,
        store: Sequence[StoreOutages],
        *,
        max_turns: int,
    ) -> None:
        self._turns = turns
        self._tasks = tasks
        self._calls = calls
        self._model = model
        self._store = store
        self._max_turns = max_turns
        self.backlog: Backlog | None = None

    def collect(self) -> Iterable[Metric]:
        yield from self._durations()
        yield from self._places()
        yield from self._of_store()
        if self.backlog is not None:
            yield from _backlog(self.backlog)

    def _durations(self) -> Iterable[Metric]:
        text = "From the acceptance of a message to its answer in the outbox"
        answers = self._turns.answers
        yield HistogramMetricFamily("kernel_answer_seconds", text, answers.cumulative(), answers.seconds)
        text = "Attempts of turns, by the outcome that the log names"
        yield histogram_metric("kernel_turn_seconds", text, ["outcome"], self._turns.seconds)
        text = "Requests to the model's vendor from their admission on: answer, transcription, speech"
        yield histogram_metric("kernel_model_seconds", text, ["kind", "outcome"], self._model)
        text = "Calls other than streams, by rpc and gRPC status; includes those over a channel's stream"
        yield histogram_metric("kernel_rpc_seconds", text, ["method", "status"], self._calls.seconds)

    def _places(self) -> Iterable[Metric]:
        """The usage of limited resources."""
        waits = self._tasks.waits
        text = "How long people waited for one of KERNEL_MAX_TURNS turns"
        yield HistogramMetricFamily("kernel_turn_wait_seconds", text, waits.cumulative(), waits.seconds)
        text = "Seconds that the person who waits longest has waited for one of KERNEL_MAX_TURNS turns"
        yield GaugeMetricFamily("kernel_turn_queue_oldest_seconds", text, self._tasks.longest_wait)
        yield GaugeMetricFamily("kernel_turns_running", "People whose turns run now", self._tasks.running)
        yield GaugeMetricFamily("kernel_turns_limit", "KERNEL_MAX_TURNS", self._max_turns)
        text = "Open calls by channel and kind: call, pull, upload, download; empty channel: calls without a token"
        calls = GaugeMetricFamily("kernel_open_calls", text, labels=["channel", "kind"])
        for labels, number in self._calls.open.items():
            calls.add_metric(labels, number)
        yield calls

    def _of_store(self) -> Iterable[Metric]:
        text = "Whether the database cannot be read, or cannot be written: alert on 1"
        yield GaugeMetricFamily("kernel_store_unavailable", text, float(any(each.lasts for each in self._store)))
        text = "Outages of the database; reading and writing are counted separately"
        yield CounterMetricFamily("kernel_store_outages", text, sum(each.count for each in self._store))


def _backlog(backlog: Backlog) -> Iterable[Metric]:
    """Of all nodes. Only the leader reads it."""
    text = "Messages that wait for their answer, at all nodes; reported by the leader only"
    yield GaugeMetricFamily("kernel_messages_waiting", text, backlog.messages)
    text = "Seconds since the oldest message that waits for its answer was accepted; reported by the leader only"
    yield GaugeMetricFamily("kernel_messages_waiting_oldest_seconds", text, backlog.oldest_message_seconds)
    text = "Replies that wait for a channel to take them; reported by the leader only"
    yield GaugeMetricFamily("kernel_replies_waiting", text, backlog.replies)
    text = "Seconds since the oldest reply that waits for a channel was made; reported by the leader only"
    yield GaugeMetricFamily("kernel_replies_waiting_oldest_seconds", text, backlog.oldest_reply_seconds)
    text = (
        "Accounts, triggers and sessions that Composio must still remove: of deleted people, and replaced sessions; the"
        " leader alone shows it"
    )
    yield GaugeMetricFamily("kernel_revocations_waiting", text, backlog.revocations)
