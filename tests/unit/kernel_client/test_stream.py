"""The gateway's end of a stream: calls and results are matched by id, whatever the service and the network do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from kernel.v1 import channel_pb2, messages_pb2, outbox_pb2

from kernel_client import stream
from kernel_client.errors import KernelError
from kernel_client.stream import ChannelStream, Unanswered

ATTACH = outbox_pb2.PullOutboxRequest(channel="whatsapp")
LONG = 60.0


class Wire:
    """The service's end. It reads a message when the test asks for it."""

    def __init__(self, requests: AsyncIterator[channel_pb2.ServeChannelRequest]) -> None:
        self._requests = requests
        self._responses: asyncio.Queue[channel_pb2.ServeChannelResponse | asyncio.CancelledError | None] = (
            asyncio.Queue()
        )
        self.is_cancelled = False

    async def read(self) -> channel_pb2.ServeChannelRequest:
        return await anext(self._requests)

    def send(self, *results: channel_pb2.ChannelResult, **fields: Any) -> None:
        self._responses.put_nowait(channel_pb2.ServeChannelResponse(results=results, **fields))

    def end(self) -> None:
        self._responses.put_nowait(None)

    def break_off(self) -> None:
        """As the library after a fault of its writer."""
        self._responses.put_nowait(asyncio.CancelledError())

    def cancel(self) -> None:
        self.is_cancelled = True

    async def __aiter__(self) -> AsyncIterator[channel_pb2.ServeChannelResponse]:
        while response := await self._responses.get():
            if isinstance(response, asyncio.CancelledError):
                raise response
            yield response


class Opened:
    def __init__(self) -> None:
        self.stream = ChannelStream(self._open, ATTACH)
        self.items: list[outbox_pb2.PullOutboxResponse] = []
        self.reading = asyncio.create_task(self.stream.read(lambda item, _: self.items.append(item)))

    def _open(self, requests: AsyncIterator[channel_pb2.ServeChannelRequest]) -> Wire:
        self.wire = Wire(requests)
        return self.wire

    def say(self, text: str, seconds: float = LONG) -> asyncio.Task[Any]:
        request = messages_pb2.HandleMessageRequest(message_id=text)
        deadline = asyncio.get_running_loop().time() + seconds
        return asyncio.create_task(self.stream.call("handle_message", request, deadline))


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    opened = Opened()
    assert (await opened.wire.read()).attach == ATTACH
    assert not opened.stream.is_open
    opened.wire.send()
    await turn()
    assert opened.stream.is_open
    yield opened
    opened.stream.close()
    opened.reading.cancel()


async def turn() -> None:
    """Let the tasks run that are ready."""
    for _ in range(5):
        await asyncio.sleep(0)


def durable(call: channel_pb2.ChannelCall, turn_id: str = "") -> channel_pb2.ChannelResult:
    return channel_pb2.ChannelResult(id=call.id, handle_message=messages_pb2.HandleMessageResponse(turn_id=turn_id))


async def test_calls_that_are_ready_together_share_a_message(opened: Opened) -> None:
    said = [opened.say(str(number)) for number in range(3)]
    calls = (await opened.wire.read()).calls
    assert [call.handle_message.message_id for call in calls] == ["0", "1", "2"]
    for call in reversed(calls):  # results come in any order
        opened.wire.send(durable(call, turn_id=call.handle_message.message_id))
    assert [answer.turn_id for answer in await asyncio.gather(*said)] == ["0", "1", "2"]


async def test_a_message_holds_a_limited_number_of_calls_and_bytes(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [opened.say(str(number)) for number in range(stream.MOST_CALLS + 1)]
    assert [len((await opened.wire.read()).calls) for _ in range(2)] == [stream.MOST_CALLS, 1]
    monkeypatch.setattr(stream, "GROUP_BYTES", 10)
    said += [opened.say("long" * 100), opened.say("short")]
    assert [len((await opened.wire.read()).calls) for _ in range(2)] == [1, 1]
    for call in said:
        call.cancel()


async def test_an_error_keeps_its_reason_and_its_retry_time(opened: Opened) -> None:
    said = opened.say("hi")
    (call,) = (await opened.wire.read()).calls
    error = channel_pb2.CallError(code=8, reason="TOO_MANY_PENDING", retry_delay=Duration(seconds=2))
    opened.wire.send(channel_pb2.ChannelResult(id=call.id, error=error))
    with pytest.raises(KernelError) as refused:
        await said
    assert (refused.value.reason, refused.value.retry_after, refused.value.retryable) == ("TOO_MANY_PENDING", 2, True)


@pytest.mark.parametrize(
    ("error", "reason", "retryable"),
    [
        (channel_pb2.CallError(code=3, reason="FIELD_INVALID"), "FIELD_INVALID", False),
        (channel_pb2.CallError(code=4), "DEADLINE_EXCEEDED", True),
        (channel_pb2.CallError(code=4711), "UNKNOWN", True),
        (channel_pb2.CallError(code=3, reason="OF_A_LATER_VERSION"), "OF_A_LATER_VERSION", True),
    ],
)
async def test_the_error_of_a_call(opened: Opened, error: channel_pb2.CallError, reason: str, retryable: bool) -> None:
    said = opened.say("hi")
    (call,) = (await opened.wire.read()).calls
    opened.wire.send(channel_pb2.ChannelResult(id=call.id, error=error))
    with pytest.raises(KernelError) as refused:
        await said
    assert (refused.value.reason, refused.value.retryable) == (reason, retryable)


async def test_a_call_that_the_service_cannot_serve_now_is_unanswered(opened: Opened) -> None:
    said = opened.say("hi")
    (call,) = (await opened.wire.read()).calls
    error = channel_pb2.CallError(code=14, reason="DRAINING")
    opened.wire.send(channel_pb2.ChannelResult(id=call.id, error=error))
    with pytest.raises(Unanswered):
        await said
    assert opened.stream.is_open


async def test_a_fault_while_writing_ends_the_stream_and_not_its_reader(opened: Opened) -> None:
    said = opened.say("hi")
    opened.wire.break_off()
    with pytest.raises(KernelError, match="CANCELLED"):
        await opened.reading
    with pytest.raises(Unanswered):
        await said


async def test_a_cancelled_reader_stays_cancelled(opened: Opened) -> None:
    opened.reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opened.reading


@pytest.mark.parametrize("nonsense", [{}, {"ack_outbox": outbox_pb2.AckOutboxResponse()}])
async def test_a_result_of_another_kind_is_an_error_that_may_pass(opened: Opened, nonsense: Any) -> None:
    said = opened.say("hi")
    (call,) = (await opened.wire.read()).calls
    opened.wire.send(channel_pb2.ChannelResult(id=call.id, **nonsense))
    with pytest.raises(KernelError) as refused:
        await said
    assert refused.value.retryable


async def test_results_of_unknown_calls_and_second_results_are_ignored(opened: Opened) -> None:
    said = opened.say("hi")
    (call,) = (await opened.wire.read()).calls
    opened.wire.send(channel_pb2.ChannelResult(id=4711), durable(call, "first"), durable(call, "second"))
    opened.wire.send(items=[outbox_pb2.PullOutboxResponse(typing=outbox_pb2.Typing(user_id="a"))])
    assert (await said).turn_id == "first"
    await turn()
    assert [item.typing.user_id for item in opened.items] == ["a"]


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize("ends", ["service", "gateway"])
async def test_calls_without_a_result_are_broken_with_the_stream(opened: Opened, *, read: bool, ends: str) -> None:
    said = [opened.say("sent"), opened.say("other")]
    if read:
        opened.wire.send(durable((await opened.wire.read()).calls[1]))
        await said.pop()
    await turn()
    opened.wire.end() if ends == "service" else opened.stream.close()
    for each in said:
        with pytest.raises(Unanswered):
            await each
    assert not opened.stream.is_open
    assert opened.wire.is_cancelled
    opened.stream.close()  # twice
    with pytest.raises(StopAsyncIteration):
        await opened.wire.read()


async def test_a_stream_that_ended_does_not_open_again(opened: Opened) -> None:
    opened.stream.close()
    opened.wire.send()
    await turn()
    assert not opened.stream.is_open


async def test_each_call_ends_at_its_own_deadline(opened: Opened) -> None:
    late, soon, now = opened.say("late"), opened.say("soon", 0.02), opened.say("now", 0)
    for call in (now, soon):
        with pytest.raises(KernelError, match="DEADLINE_EXCEEDED"):
            await call
    assert [call.handle_message.message_id for call in (await opened.wire.read()).calls] == ["late"]
    assert not late.done()
    late.cancel()


async def test_the_stream_has_one_timer(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at

    def counted(when: float, *rest: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(when)
        return call_at(when, *rest, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    for number in range(100):
        said = opened.say(str(number))
        (call,) = (await opened.wire.read()).calls
        opened.wire.send(durable(call))
        await said
    assert len(timers) == 1


async def test_a_call_whose_caller_left_is_not_sent(opened: Opened) -> None:
    left, stays = opened.say("left"), opened.say("stays")
    await asyncio.sleep(0)
    left.cancel()
    await turn()
    (call,) = (await opened.wire.read()).calls
    assert call.handle_message.message_id == "stays"
    opened.wire.send(durable(call))
    await stays


async def test_the_deadlines_of_settled_calls_are_forgotten(opened: Opened) -> None:
    for number in range(stream.MOST_CALLS * 2):
        said = opened.say(str(number), seconds=86_400)
        await asyncio.sleep(0)
        said.cancel()
        await asyncio.sleep(0)
    assert len(opened.stream._deadlines) <= stream.MOST_CALLS + 2


async def test_a_stream_that_is_not_served_in_time_ends_as_unreachable() -> None:
    opened = Opened()
    await opened.wire.read()
    opened.stream.close_unless_open()
    opened.wire.break_off()
    with pytest.raises(KernelError, match="UNREACHABLE"):
        await opened.reading
