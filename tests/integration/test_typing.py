"""Typing items over gRPC, and "typing…" on a phone, while a turn runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from kernel.v1 import messages_pb2, outbox_pb2

from tests.integration.world import TELEGRAM_TOKEN, bearer, whole_world

if TYPE_CHECKING:
    from pathlib import Path

    from emulators.effects import Effect
    from tests.integration.world import World

KINDS = [outbox_pb2.OUTBOX_ITEM_KIND_REPLY, outbox_pb2.OUTBOX_ITEM_KIND_TYPING]


def pull(world: World, *kinds: outbox_pb2.OutboxItemKind.ValueType, interval: float = 60) -> Any:
    request = outbox_pb2.PullOutboxRequest(
        channel="telegram",
        instance_id="gateway-1",
        kinds=kinds,
        typing_interval=Duration(nanos=int(interval * 1e9) % 10**9, seconds=int(interval)),
    )
    return world.stub.PullOutbox(request, metadata=bearer(TELEGRAM_TOKEN), timeout=60)


async def shown(world: World, after: int = 0) -> Effect:
    """Wait for the next request to WhatsApp to show "typing…"."""
    return await world.emulators.effects.wait_for(lambda effect: effect.kind == "graph_read", after=after)


async def send(world: World, text: str, message_id: str, user_id: str = "telegram:42") -> None:
    message = messages_pb2.HandleMessageRequest(
        user_id=user_id,
        message_id=message_id,
        address="bot",
        payload=messages_pb2.Payload(text=text),
        reply_mode=messages_pb2.REPLY_MODE_OUTBOX,
    )
    await world.stub.HandleMessage(message, metadata=bearer(TELEGRAM_TOKEN), timeout=60)


async def test_an_item_comes_while_the_turn_works_and_then_the_reply(world: World) -> None:
    stream = pull(world, *KINDS)
    items = aiter(stream)
    hold = world.emulators.openai.hold()
    await send(world, "hello", "m1")
    item = await anext(items)
    assert item.typing == outbox_pb2.Typing(user_id="telegram:42", address="bot", message_id="m1")
    hold.release()
    assert (await anext(items)).reply.reply.answers_message_id == "m1"
    stream.cancel()


async def test_it_comes_again_after_the_interval(world: World) -> None:
    stream = pull(world, *KINDS, interval=1)
    items = aiter(stream)
    hold = world.emulators.openai.hold()
    await send(world, "hello", "m1")
    assert [(await anext(items)).WhichOneof("item") for _ in range(2)] == ["typing", "typing"]
    hold.release()
    assert (await anext(items)).WhichOneof("item") == "reply"
    stream.cancel()


async def test_a_channel_that_does_not_declare_typing_gets_none(world: World) -> None:
    stream = pull(world, outbox_pb2.OUTBOX_ITEM_KIND_REPLY)
    await send(world, "hello", "m1")
    assert (await anext(aiter(stream))).WhichOneof("item") == "reply"
    stream.cancel()


async def test_a_stream_that_begins_in_the_middle_gets_it(world: World) -> None:
    hold = world.emulators.openai.hold()
    await send(world, "hello", "m1")
    await hold.reached.wait()
    stream = pull(world, *KINDS)
    item = await anext(aiter(stream))
    assert (item.typing.user_id, item.typing.message_id) == ("telegram:42", "m1")
    hold.release()
    stream.cancel()


@pytest.mark.parametrize("interval", [0.0, 0.5, 61.0])
async def test_an_interval_out_of_bounds_is_refused(world: World, interval: float) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(pull(world, *KINDS, interval=interval)))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "typing_interval" in (refused.value.details() or "")


async def test_a_phone_shows_typing_from_the_turns_beginning_to_the_answer(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    sent = await alice.send("hello")
    read = await shown(world)
    assert (read.key, read.detail["typing"]) == (sent.id, True)
    assert alice.typing_until > 0
    hold.release()
    await alice.wait_for_message(timeout=20)
    assert alice.typing_until == 0


async def test_each_turn_shows_it_for_its_own_message(world: World) -> None:
    alice = world.phone("Alice")
    for text in ("one", "two"):
        await world.ask(alice, text)
    own = [message.id for message in alice.messages if message.text in {"one", "two"}]
    assert [read.key for read in world.emulators.effects.all("graph_read")] == own


async def test_a_gateway_that_begins_in_the_middle_of_a_turn_shows_it(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold()
    sent = await alice.send("hello")
    first = await shown(world)
    await world.stop_gateway()
    await world.start_gateway()
    again = await shown(world, after=first.number)
    assert again.key == sent.id
    hold.release()
    await alice.wait_for_message(timeout=30)
    assert alice.typing_until == 0


async def test_a_turn_that_another_process_resumes_shows_it_again(tmp_path: Path) -> None:
    async with whole_world(tmp_path, kernel_drain_seconds=0.2) as world:
        alice = world.phone("Alice")
        hold = world.emulators.openai.hold()
        sent = await alice.send("hello")
        first = await shown(world)
        await world.stop_kernel()
        await world.start_kernel()
        again = await shown(world, after=first.number)
        assert again.key == sent.id
        hold.release()
        await alice.wait_for_message(timeout=30)
        assert alice.typing_until == 0


async def test_a_message_that_is_answered_at_once_is_marked_as_read(world: World) -> None:
    alice = world.phone("Alice")
    for _ in range(8):
        await world.ask(alice, "stop")
    own = {message.id for message in alice.messages if message.text == "stop"}
    await world.emulators.effects.wait_for(
        lambda _: {read.key for read in world.emulators.effects.all("graph_read")} >= own
    )
    assert len(world.emulators.effects.all("graph_read")) == 8


async def test_a_reaction_alone_shows_nothing(world: World) -> None:
    alice = world.phone("Alice")
    answer = await world.ask(alice, "hello")
    await alice.react_to(answer, "👍")
    await world.ask(alice, "and now")
    own = [message.id for message in alice.messages if message.text in {"hello", "and now"}]
    assert [read.key for read in world.emulators.effects.all("graph_read")] == own
