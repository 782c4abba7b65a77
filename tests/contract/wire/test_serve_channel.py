"""ServeChannel over the wire: each call is answered as the separate rpc answers it."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import channel_pb2, messages_pb2, outbox_pb2

from kernel_service.api import interceptors
from tests.contract.wire.test_error_details import REFUSED
from tests.integration.world import TELEGRAM_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = bearer(TELEGRAM_TOKEN)
ATTACH = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="one")
OUTBOX = messages_pb2.REPLY_MODE_OUTBOX
FIELDS = {"HandleMessage": "handle_message", "AckOutbox": "ack_outbox", "ReportReceipts": "report_receipts"}


class Channel:
    """A client that reads what the stream brings."""

    def __init__(self, stub: Any, attach: outbox_pb2.PullOutboxRequest = ATTACH) -> None:
        self._ids = itertools.count(1)
        self.stream = stub.ServeChannel(metadata=TOKEN, timeout=60)
        self._attach = attach
        self.results: dict[int, channel_pb2.ChannelResult] = {}
        self.items: list[outbox_pb2.PullOutboxResponse] = []
        self.nodes: list[channel_pb2.ServingNode] = []
        self.node_id = ""

    async def open(self) -> Channel:
        await self.stream.write(channel_pb2.ServeChannelRequest(attach=self._attach))
        first = await self.stream.read()
        self.nodes, self.node_id = list(first.nodes), first.node_id
        assert first == channel_pb2.ServeChannelResponse(nodes=self.nodes, node_id=self.node_id)
        return self

    async def call(self, **request: Any) -> int:
        call = channel_pb2.ChannelCall(id=next(self._ids), **request)
        await self.stream.write(channel_pb2.ServeChannelRequest(calls=[call]))
        return call.id

    async def answer(self, **request: Any) -> channel_pb2.ChannelResult:
        return await self.result(await self.call(**request))

    async def result(self, call_id: int) -> channel_pb2.ChannelResult:
        while call_id not in self.results:
            await self._read()
        return self.results.pop(call_id)

    async def item(self) -> outbox_pb2.PullOutboxResponse:
        while not self.items:
            await self._read()
        return self.items.pop(0)

    async def _read(self) -> None:
        response = await self.stream.read()
        assert response is not grpc.aio.EOF, await self.stream.code()
        self.results |= {result.id: result for result in response.results}
        self.items += response.items


@pytest.fixture
async def channel(world: World) -> AsyncIterator[Channel]:
    channel = await Channel(world.stub).open()
    yield channel
    channel.stream.cancel()


def hello(message_id: str = "m-1", **more: Any) -> messages_pb2.HandleMessageRequest:
    given: dict[str, Any] = {"user_id": "telegram:1", "payload": messages_pb2.Payload(text="hello")} | more
    return messages_pb2.HandleMessageRequest(message_id=message_id, reply_mode=OUTBOX, **given)


def sent(delivery: outbox_pb2.ReplyDelivery) -> outbox_pb2.AckOutboxRequest:
    part = outbox_pb2.ReplyPart(reply_id=delivery.reply.id, part=1, parts=1)
    ack = outbox_pb2.PartAcknowledgement(part=part, sent=outbox_pb2.DeliverySent(channel_message_id="t-1"))
    return outbox_pb2.AckOutboxRequest(
        acknowledgements=[outbox_pb2.Acknowledgement(lease_token=delivery.lease_token, part=ack)]
    )


async def test_a_message_its_reply_the_acknowledgement_and_the_receipt_share_a_stream(
    channel: Channel, world: World
) -> None:
    accepted = (await channel.answer(handle_message=hello())).handle_message
    assert (accepted.status, accepted.duplicate) == (messages_pb2.MESSAGE_STATUS_ACCEPTED, False)
    delivery = (await channel.item()).reply
    assert delivery.reply.text
    assert 0 < delivery.lease_for.seconds <= 60
    for _ in range(2):
        settled = (await channel.answer(ack_outbox=sent(delivery))).ack_outbox
        assert list(settled.results) == [outbox_pb2.ACK_RESULT_RECORDED]
    receipt = outbox_pb2.Receipt(channel_message_id="t-1", reached=outbox_pb2.DELIVERY_STAGE_READ)
    reported = await channel.answer(report_receipts=outbox_pb2.ReportReceiptsRequest(receipts=[receipt] * 2))
    assert reported.report_receipts.recorded == 2
    # a message accepted by one way is recognised by the other
    assert (await world.stub.HandleMessage(hello(), metadata=TOKEN)).duplicate
    assert (await channel.answer(handle_message=hello())).handle_message.duplicate
    assert not (await world.stub.HandleMessage(hello("m-2"), metadata=TOKEN)).duplicate
    assert (await channel.answer(handle_message=hello("m-2"))).handle_message.duplicate


@pytest.mark.parametrize(
    "case",
    [case for case in REFUSED if case.rpc in FIELDS and case.field != "reply_mode"],
    ids=lambda case: f"{case.rpc}-{case.field}",
)
async def test_an_error_says_what_the_rpcs_own_error_says(world: World, channel: Channel, case: Any) -> None:
    request = type(case.request)()
    request.CopyFrom(case.request)
    if case.rpc == "HandleMessage" and not request.reply_mode:
        request.reply_mode = OUTBOX
    await same_error(world, channel, case.rpc, request)


OTHERS = {
    "of another channel": hello(user_id="whatsapp:1"),
    "with another payload": hello(payload=messages_pb2.Payload(text="other")),
    "too long an id": hello("x" * 257),
    "too long a user id": hello(user_id="telegram:" + "1" * 200),
    "too much text": hello(payload=messages_pb2.Payload(text="x" * 400_000)),
}


@pytest.mark.parametrize("case", OTHERS)
async def test_other_errors_say_the_same_too(world: World, channel: Channel, case: str) -> None:
    await channel.answer(handle_message=hello())
    await same_error(world, channel, "HandleMessage", OTHERS[case])


async def same_error(world: World, channel: Channel, rpc: str, request: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await getattr(world.stub, rpc)(request, metadata=TOKEN, timeout=20)
    error = (await channel.answer(**{FIELDS[rpc]: request})).error
    assert (error.code, error.message) == (caught.value.code().value[0], caught.value.details())
    info, bad, delay = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    status: Any = rpc_status.from_call(caught.value)
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(bad) or detail.Unpack(delay)
    assert error.reason == info.reason
    assert dict(error.metadata) == dict(info.metadata)
    assert [(each.field, each.description) for each in error.field_violations] == [
        (each.field, each.description) for each in bad.field_violations
    ]
    assert error.retry_delay == delay.retry_delay


async def test_a_stream_takes_no_call_that_waits_for_an_answer(channel: Channel) -> None:
    for mode in (messages_pb2.REPLY_MODE_UNSPECIFIED, messages_pb2.REPLY_MODE_INLINE):
        request = hello()
        request.reply_mode = mode
        error = (await channel.answer(handle_message=request)).error
        assert (error.reason, error.field_violations[0].field) == ("FIELD_INVALID", "reply_mode")


async def test_text_that_may_be_truncated_is(channel: Channel) -> None:
    request = hello(time_zone="x" * 1000)
    assert (await channel.answer(handle_message=request)).HasField("handle_message")


async def test_many_calls_at_once_each_get_their_result(channel: Channel) -> None:
    people = [f"telegram:{number}" for number in range(300)]
    reading = asyncio.create_task(gather(channel, len(people)))
    for each in people:
        await channel.call(handle_message=hello(user_id=each))
    assert {result.WhichOneof("result") for result in await reading} == {"handle_message"}


async def gather(channel: Channel, count: int) -> list[channel_pb2.ChannelResult]:
    return [await channel.result(number) for number in range(1, count + 1)]


async def test_a_caller_that_closes_its_side_gets_the_results_first(channel: Channel) -> None:
    call_id = await channel.call(handle_message=hello())
    await channel.stream.done_writing()
    assert (await channel.result(call_id)).HasField("handle_message")
    while await channel.stream.read() is not grpc.aio.EOF:
        pass
    assert await channel.stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (channel_pb2.ServeChannelRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        (
            channel_pb2.ServeChannelRequest(attach=outbox_pb2.PullOutboxRequest(channel="telegram")),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            channel_pb2.ServeChannelRequest(
                attach=outbox_pb2.PullOutboxRequest(channel="whatsapp", instance_id="one"),
            ),
            grpc.StatusCode.PERMISSION_DENIED,
        ),
    ],
    ids=["nothing", "no instance", "another channel"],
)
async def test_a_stream_that_may_not_attach_is_refused(
    world: World, first: channel_pb2.ServeChannelRequest, status: grpc.StatusCode
) -> None:
    stream: Any = world.stub.ServeChannel(metadata=TOKEN, timeout=20)
    await stream.write(first)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is status


async def test_an_unknown_token_is_refused(world: World) -> None:
    stream: Any = world.stub.ServeChannel(metadata=bearer("wrong"), timeout=20)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stream.read()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_release_of_leases_ends_the_stream(world: World, channel: Channel) -> None:
    await world.stub.ReleaseLeases(outbox_pb2.ReleaseLeasesRequest(instance_id="one"), metadata=TOKEN)
    assert await channel.stream.read() is grpc.aio.EOF
    assert await channel.stream.code() is grpc.StatusCode.OK


async def test_a_drain_ends_the_stream_with_ok(world: World, channel: Channel) -> None:
    call_id = await channel.call(handle_message=hello())
    stopping = asyncio.create_task(world.stop_kernel())
    result = await channel.result(call_id)
    assert result.HasField("handle_message") or result.error.reason == "DRAINING"
    while await channel.stream.read() is not grpc.aio.EOF:
        pass
    assert await channel.stream.code() is grpc.StatusCode.OK
    await stopping


async def test_a_caller_that_does_not_attach_in_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interceptors, "BODY_SECONDS", 0.1)
    async with whole_world(tmp_path) as world:
        stream: Any = world.stub.ServeChannel(metadata=TOKEN, timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream.read()
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_an_attached_stream_may_be_silent_for_longer_than_an_upload(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_upload_idle_seconds=0.1) as world:
        channel = await Channel(world.stub).open()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await world.stub.UploadMedia(metadata=TOKEN, timeout=20)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await channel.answer(handle_message=hello())).HasField("handle_message")
        channel.stream.cancel()


async def test_an_accepted_message_names_the_node_for_the_next_one(world: World) -> None:
    channel = await Channel(world.stub).open()
    assert channel.nodes == [channel_pb2.ServingNode(id=channel.node_id, address=world.kernel_address)]
    accepted = (await channel.answer(handle_message=hello())).handle_message
    asked = hello("m-2")
    asked.reply_mode = messages_pb2.REPLY_MODE_INLINE
    answered = await world.stub.HandleMessage(asked, metadata=TOKEN)
    assert [accepted.node_id, answered.node_id] == [channel.node_id] * 2
