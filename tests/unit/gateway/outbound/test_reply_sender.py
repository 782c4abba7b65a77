"""A lease limits its sends."""

from typing import Any

import pytest
from kernel.v1 import outbox_pb2

from kernel_client import acks
from kernel_client.ack_queue import AckQueue
from whatsapp_gateway.graph.api import SEND_SECONDS, GraphApi, Sent
from whatsapp_gateway.markup.splitting import SPLIT_VERSION
from whatsapp_gateway.metrics import Metrics
from whatsapp_gateway.model.outbox import Delivery, DeliveryOutcome, Reply
from whatsapp_gateway.outbound import reply_sender
from whatsapp_gateway.outbound.file_sender import FileSender
from whatsapp_gateway.outbound.part_backoff import PartBackoff
from whatsapp_gateway.outbound.reply_sender import MARGIN, ReplySender

BEGUN: dict[str, Any] = {"sent_parts": frozenset({1}), "parts": 3, "split_version": "7"}


class SlowGraph(GraphApi):
    """Accepts everything; each send takes some seconds of the clock that it advances."""

    def __init__(self, seconds: float) -> None:
        self.now = 1000.0
        self.seconds = seconds
        self.sent: list[tuple[str, float]] = []

    async def send(self, number: str, body: Any, timeout: float) -> Sent:
        self.sent.append((body["biz_opaque_callback_data"], timeout))
        self.now += self.seconds
        return Sent(f"wamid.{len(self.sent)}")


class KeptAcks(AckQueue):
    def __init__(self) -> None:
        self.kept: list[Kept] = []

    def put(self, ack: acks.Ack) -> None:
        self.kept.append(Kept(ack.message.part))


class Kept:
    """The content of an acknowledgement."""

    def __init__(self, settled: outbox_pb2.PartAcknowledgement) -> None:
        self.part, self.parts = settled.part.part, settled.part.parts
        self.split_version = settled.split_version
        self.wamid = settled.sent.channel_message_id
        self.outcome = OUTCOMES[str(settled.WhichOneof("result"))]
        failure = getattr(settled, str(settled.WhichOneof("result")))
        self.error_code = getattr(failure, "error_code", "")
        self.retry_after = settled.retry.retry_after.ToMilliseconds() / 1000


OUTCOMES = {
    "sent": DeliveryOutcome.SENT,
    "retry": DeliveryOutcome.RETRY,
    "failed": DeliveryOutcome.FAILED,
    "window_closed": DeliveryOutcome.WINDOW_CLOSED,
    "in_doubt": DeliveryOutcome.UNKNOWN,
}


LONG = "\n\n".join("x" * 4000 for _ in range(3))


async def deliver(graph: SlowGraph, lease_seconds: float, text: str = LONG, **known: Any) -> list[Kept]:
    acks = KeptAcks()
    delivery = Delivery(Reply("rp_1", text), "whatsapp:US.1", "42", "lease", graph.now + lease_seconds, **known)
    metrics = Metrics()
    files = FileSender(graph, None, metrics)  # type: ignore[arg-type]
    await ReplySender(graph, files, acks, metrics, now=lambda: graph.now, part_backoff=PartBackoff()).deliver(delivery)
    return acks.kept


async def test_a_lease_that_expires_between_parts_ends_the_sending() -> None:
    graph = SlowGraph(seconds=20)
    acks = await deliver(graph, lease_seconds=MARGIN + 30)
    assert [callback for callback, _ in graph.sent] == ["rp_1/1/3", "rp_1/2/3"]
    assert [(ack.part, ack.outcome, ack.wamid) for ack in acks] == [
        (1, DeliveryOutcome.SENT, "wamid.1"),
        (2, DeliveryOutcome.SENT, "wamid.2"),
    ]


@pytest.mark.parametrize(("known", "named"), [({}, (1, 1, SPLIT_VERSION)), (BEGUN, (2, 3, "7"))])
async def test_a_reply_that_cannot_be_rendered_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    known: dict[str, Any],
    named: tuple[int, int, str],
) -> None:
    def faulty(reply: Reply, *_: str) -> Any:
        raise RecursionError(reply.text)

    monkeypatch.setattr(reply_sender, "render", faulty)
    graph = SlowGraph(seconds=0)
    (ack,) = await deliver(graph, lease_seconds=60, **known)
    assert (ack.part, ack.parts, ack.split_version) == named
    assert (ack.outcome, ack.error_code) == (DeliveryOutcome.FAILED, "fault")
    assert graph.sent == []
    assert "fault while rendering reply rp_1: RecursionError" in caplog.text
    assert "xxx" not in caplog.text


@pytest.mark.parametrize(("lease", "timeout"), [(60, SEND_SECONDS), (MARGIN + 7, 7)])
async def test_a_send_must_end_before_its_lease(lease: float, timeout: float) -> None:
    graph = SlowGraph(seconds=0)
    await deliver(graph, lease)
    assert [allowed for _, allowed in graph.sent] == [timeout] * 3


async def test_a_reply_resumes_after_the_parts_that_a_status_named() -> None:
    graph = SlowGraph(seconds=0)
    acks = await deliver(graph, lease_seconds=60, sent_parts=frozenset({1}), parts=3, split_version="")
    assert [callback for callback, _ in graph.sent] == ["rp_1/2/3", "rp_1/3/3"]
    assert {ack.outcome for ack in acks} == {DeliveryOutcome.SENT}


@pytest.mark.parametrize("known", [{"split_version": "2"}, {"split_version": ""}])
async def test_a_reply_begun_by_the_previous_release_is_finished_by_its_rule(known: dict[str, Any]) -> None:
    """Its parts are counted in code points, so there are fewer than ours; a status may name these without the rule."""
    graph = SlowGraph(seconds=0)
    acks = await deliver(graph, lease_seconds=60, text="👍" * 5000, sent_parts=frozenset({1}), parts=2, **known)
    assert [callback for callback, _ in graph.sent] == ["rp_1/2/2"]
    assert [(ack.part, ack.parts, ack.split_version, ack.outcome) for ack in acks] == [
        (2, 2, "2", DeliveryOutcome.SENT)
    ]


@pytest.mark.parametrize("sent", [0, 1, 2])
async def test_after_its_stream_ended_no_part_is_started_and_the_rest_is_released(sent: int) -> None:
    graph = SlowGraph(seconds=0)
    acks = await deliver(graph, lease_seconds=60, is_live=lambda: len(graph.sent) < sent)
    assert len(graph.sent) == sent
    assert [ack.outcome for ack in acks] == [DeliveryOutcome.SENT] * sent + [DeliveryOutcome.RETRY]
    assert (acks[-1].part, acks[-1].parts, acks[-1].error_code) == (sent + 1, 3, "stream_ended")
    assert 0 < acks[-1].retry_after < 1


async def test_a_released_reply_keeps_its_split_rule() -> None:
    graph = SlowGraph(seconds=0)
    known = {"sent_parts": frozenset({1}), "parts": 2, "split_version": "2"}
    (ack,) = await deliver(graph, lease_seconds=60, text="👍" * 5000, is_live=lambda: False, **known)
    assert (ack.part, ack.parts, ack.split_version, ack.outcome) == (2, 2, "2", DeliveryOutcome.RETRY)
