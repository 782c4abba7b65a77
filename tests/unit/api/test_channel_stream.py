"""The service's end of a stream: ready results and items share a message, and nothing waits without limit."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
from kernel.v1 import channel_pb2, messages_pb2, outbox_pb2

from kernel_service.api import channel_stream
from kernel_service.api.channel_admission import ChannelAdmission, ChannelLimits
from kernel_service.api.channel_stream import MOST_UNREAD, ChannelCalls
from kernel_service.api.channel_streams import ChannelStreams
from kernel_service.api.interceptors import caller
from kernel_service.errors import CallerError, StoreUnavailable
from kernel_service.ports.nodes import Node
from tests.node_view import View, node

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

ATTACH = outbox_pb2.PullOutboxRequest(channel="chat", instance_id="one")
END = None


class Channel:
    """A channel's process, and the parts behind the stream."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[channel_pb2.ServeChannelRequest | None] = asyncio.Queue()
        self.items: asyncio.Queue[outbox_pb2.PullOutboxResponse | None] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.read = 0
        self.pulls_ended = 0
        caller.set("chat")
        calls = ChannelCalls({"handle_message": self._handle}, ChannelAdmission(ChannelLimits(calls=1000)))
        self.cluster = View.of(node("n0"))
        self.responses = ChannelStreams(self.cluster, calls, self._pull).responses(self._requests(), None)

    async def _handle(self, request: messages_pb2.HandleMessageRequest, _: Any) -> messages_pb2.HandleMessageResponse:
        self.begun.append(request.message_id)
        await self.gate.wait()
        if request.message_id == "broken":
            raise ValueError("private words")
        if request.message_id == "unavailable":
            raise StoreUnavailable
        self.ended.append(request.message_id)
        return messages_pb2.HandleMessageResponse(turn_id=request.message_id)

    def _pull(self, request: outbox_pb2.PullOutboxRequest, _: Any) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        if request != ATTACH:
            raise CallerError("FIELD_REQUIRED", "`channel` is required", field="channel")
        return self._pulled()

    async def _pulled(self) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        try:
            while item := await self.items.get():
                yield item
        finally:
            self.pulls_ended += 1

    async def _requests(self) -> AsyncIterator[channel_pb2.ServeChannelRequest]:
        while request := await self.requests.get():
            self.read += 1
            yield request

    def say(self, *message_ids: str, **fields: Any) -> None:
        self.requests.put_nowait(channel_pb2.ServeChannelRequest(calls=[call(each) for each in message_ids], **fields))

    async def next(self) -> channel_pb2.ServeChannelResponse:
        async with asyncio.timeout(10):
            return await anext(self.responses)

    async def turns_of(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            found += [result.handle_message.turn_id for result in (await self.next()).results]
        return found


def call(message_id: str) -> channel_pb2.ChannelCall:
    request = messages_pb2.HandleMessageRequest(message_id=message_id, reply_mode=messages_pb2.REPLY_MODE_OUTBOX)
    return channel_pb2.ChannelCall(id=len(message_id), handle_message=request)


def typing(text: str) -> outbox_pb2.PullOutboxResponse:
    return outbox_pb2.PullOutboxResponse(typing=outbox_pb2.Typing(user_id=text))


@pytest.fixture
async def channel() -> AsyncIterator[Channel]:
    channel = Channel()
    channel.say(attach=ATTACH)
    assert await channel.next() == channel_pb2.ServeChannelResponse(nodes=serving("n0"), node_id="n0")
    yield channel
    await channel.responses.aclose()
    assert channel.pulls_ended == 1


def serving(*node_ids: str) -> list[channel_pb2.ServingNode]:
    return [channel_pb2.ServingNode(id=node_id, address=f"{node_id}:50051") for node_id in node_ids]


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_ready_results_and_items_share_a_message(channel: Channel) -> None:
    channel.gate.clear()
    channel.say("a", "b")
    channel.say("c")
    for each in ("x", "y"):
        channel.items.put_nowait(typing(each))
    first = await channel.next()
    assert [item.typing.user_id for item in first.items] == ["x", "y"]
    channel.gate.set()
    assert [result.handle_message.turn_id for result in (await channel.next()).results] == ["a", "b", "c"]


async def test_calls_begin_in_their_order(channel: Channel) -> None:
    channel.gate.clear()
    channel.say("a", "b")
    channel.say("c", "d")
    waiting = asyncio.create_task(channel.next())
    await turn()
    assert channel.begun == ["a", "b", "c", "d"]
    channel.gate.set()
    await waiting


async def test_a_failed_call_leaves_the_others_and_the_stream(
    channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    channel.requests.put_nowait(channel_pb2.ServeChannelRequest(calls=[channel_pb2.ChannelCall(id=99)]))
    channel.say("broken", "unavailable", "fine")
    errors: dict[int, channel_pb2.CallError] = {}
    found = 0
    while found < 4:
        results = (await channel.next()).results
        found += len(results)
        errors |= {result.id: result.error for result in results if result.HasField("error")}
    assert {errors[99].reason, errors[99].field_violations[0].field} == {"FIELD_REQUIRED", "request"}
    assert (errors[6].reason, errors[6].code, list(errors[6].metadata)) == ("INTERNAL", 13, ["error_id"])
    assert "private words" not in errors[6].message
    assert errors[6].metadata["error_id"] in caplog.text
    assert (errors[11].reason, errors[11].code) == ("STORE_UNAVAILABLE", 14)
    assert channel.ended == ["fine"]


async def test_no_further_message_is_read_while_too_many_results_wait(channel: Channel) -> None:
    channel.gate.clear()
    half = [str(number) for number in range(MOST_UNREAD // 2)]
    for _ in range(4):
        channel.say(*half)
    waiting = asyncio.create_task(channel.turns_of(4 * len(half)))
    await turn()
    assert channel.read == 3  # with the first
    channel.gate.set()
    assert len(await waiting) == 4 * len(half)


async def test_unread_results_stop_the_reading_too(channel: Channel) -> None:
    half = [str(number) for number in range(MOST_UNREAD // 2)]
    for _ in range(4):
        channel.say(*half)
    await turn()
    assert channel.read == 3


async def test_items_beyond_the_size_of_a_message_wait(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_stream, "GROUP_BYTES", 50)
    for _ in range(5):
        channel.items.put_nowait(typing("x" * 30))
    assert [len((await channel.next()).items) for _ in range(3)] == [2, 2, 1]


async def test_no_lease_waits_while_a_message_is_written(channel: Channel) -> None:
    channel.items.put_nowait(typing("written"))
    await channel.next()
    for each in ("a", "b", "c"):
        channel.items.put_nowait(typing(each))
    await turn()
    assert channel.items.qsize() == 2


@pytest.mark.parametrize("ends", ["caller", "service"])
async def test_it_ends_after_the_results_of_the_calls_it_read(channel: Channel, ends: str) -> None:
    channel.gate.clear()
    channel.say("a", "b")
    waiting = asyncio.create_task(channel.next())
    await turn()
    if ends == "caller":
        channel.requests.put_nowait(END)
    else:
        channel.items.put_nowait(END)
        await turn()
        channel.say("too late")
    await turn()
    assert channel.pulls_ended == 1
    assert not waiting.done()
    channel.gate.set()
    assert [result.handle_message.turn_id for result in (await waiting).results] == ["a", "b"]
    with pytest.raises(StopAsyncIteration):
        await channel.next()
    assert channel.begun == ["a", "b"]


async def test_calls_continue_when_the_caller_is_lost(channel: Channel) -> None:
    channel.gate.clear()
    channel.say("a")
    waiting = asyncio.create_task(channel.next())
    await turn()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    channel.gate.set()
    await turn()
    assert channel.ended == ["a"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (channel_pb2.ServeChannelRequest(attach=ATTACH), "attach"),
        (channel_pb2.ServeChannelRequest(calls=[channel_pb2.ChannelCall()] * 257), "calls"),
    ],
    ids=["attaches twice", "too many calls"],
)
async def test_a_fault_outside_a_call_ends_the_stream_after_the_results(
    channel: Channel, request_: channel_pb2.ServeChannelRequest, field: str
) -> None:
    channel.say("a")
    channel.requests.put_nowait(request_)
    assert await channel.turns_of(1) == ["a"]
    with pytest.raises(CallerError) as refused:
        await channel.next()
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (None, "attach"),
        (channel_pb2.ServeChannelRequest(calls=[call("a")]), "attach"),
        (channel_pb2.ServeChannelRequest(attach=outbox_pb2.PullOutboxRequest()), "channel"),
        (channel_pb2.ServeChannelRequest(attach=outbox_pb2.PullOutboxRequest(channel="x" * 101)), "attach.channel"),
    ],
)
async def test_a_stream_attaches_first(first: channel_pb2.ServeChannelRequest | None, field: str) -> None:
    channel = Channel()
    channel.requests.put_nowait(first)
    with pytest.raises(CallerError) as refused:
        await channel.next()
    assert refused.value.field == field
    assert not channel.begun


async def test_the_first_message_may_hold_calls() -> None:
    channel = Channel()
    channel.say("a", attach=ATTACH)
    async with aclosing(channel.responses):
        assert await channel.turns_of(1) == ["a"]


async def test_a_store_that_fails_while_it_leases_ends_the_stream() -> None:
    channel = Channel()

    async def failing(*_: Any) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        await asyncio.sleep(0)
        raise StoreUnavailable
        yield

    calls = ChannelCalls({}, ChannelAdmission(ChannelLimits()))
    channel.say(attach=ATTACH)
    responses = ChannelStreams(View.of(node("n0")), calls, failing).responses(channel._requests(), None)
    await anext(responses)
    with pytest.raises(StoreUnavailable):
        await anext(responses)


async def test_no_unanswered_call_keeps_a_stream_whose_store_fails() -> None:
    channel = Channel()
    channel.gate.clear()
    began = asyncio.Event()

    async def failing(*_: Any) -> AsyncGenerator[outbox_pb2.PullOutboxResponse]:
        await began.wait()
        raise StoreUnavailable
        yield

    calls = ChannelCalls({"handle_message": channel._handle}, ChannelAdmission(ChannelLimits(calls=9)))
    channel.say("a", attach=ATTACH)
    responses = ChannelStreams(View.of(node("n0")), calls, failing).responses(channel._requests(), None)
    await anext(responses)
    began.set()
    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            await anext(responses)
    channel.gate.set()


async def test_each_call_counts_against_the_channels_limit() -> None:
    channel = Channel()
    room = ChannelAdmission(ChannelLimits(calls=1))
    calls = ChannelCalls({"handle_message": channel._handle}, room)
    responses = ChannelStreams(View.of(node("n0")), calls, channel._pull).responses(channel._requests(), None)
    channel.gate.clear()
    channel.say("a", "bb", attach=ATTACH)
    await anext(responses)
    (result,) = (await anext(responses)).results
    assert (result.id, result.error.reason, result.error.retry_delay.seconds) == (2, "CHANNEL_BUSY", 1)
    assert room.refused["chat"] == 1
    channel.gate.set()
    assert [each.id for each in (await anext(responses)).results] == [1]
    await responses.aclose()


async def test_a_change_of_the_nodes_is_told(channel: Channel) -> None:
    channel.cluster.change(node("n0"), node("n1"))
    assert await channel.next() == channel_pb2.ServeChannelResponse(nodes=serving("n0", "n1"))
    channel.cluster.change(node("n0"), node("n1", is_draining=True))
    assert [(each.id, each.draining) for each in (await channel.next()).nodes] == [("n0", False), ("n1", True)]


async def test_only_the_latest_nodes_are_told(channel: Channel) -> None:
    channel.gate.clear()
    channel.say("a")
    await turn()
    channel.cluster.change(node("n0"), node("n1"))
    channel.cluster.change(node("n0"), node("n2"))
    channel.gate.set()
    await turn()
    response = await channel.next()
    assert [each.id for each in response.nodes] == ["n0", "n2"]
    assert [result.handle_message.turn_id for result in response.results] == ["a"]


async def test_a_node_that_does_not_serve_yet_is_not_told(channel: Channel) -> None:
    starting = Node("n1", "", 27)
    channel.cluster.change(node("n0"), starting, node("n2"))
    assert [each.id for each in (await channel.next()).nodes] == ["n0", "n2"]
