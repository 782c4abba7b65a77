"""One channel uses its whole share, stalls, or guesses tokens: the others are served."""

from __future__ import annotations

import asyncio
import gc
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from kernel.v1 import identity_pb2, media_pb2, messages_pb2, outbox_pb2
from sqlalchemy import select

from emulators.faults import matching
from kernel_service.api import interceptors
from kernel_service.storage.schema.media import media, media_chunk
from tests.integration.files import digest, pdf, png
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, World, bearer, whole_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from kernel_service.storage.engine.engine import Tx

TOKEN = bearer(TELEGRAM_TOKEN)
BILL = pdf("Rent", filler=500_000)
KINDS = [outbox_pb2.OUTBOX_ITEM_KIND_REPLY, outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED]


@asynccontextmanager
async def small_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    async with whole_world(folder, **settings) as world:
        yield world


async def refusal(call: Any) -> tuple[str, str, float]:
    """Status, reason, and the seconds until a retry (0: not given)."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    status: Any = rpc_status.from_call(caught.value)
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(retry)
    return caught.value.code().name, str(info.reason), retry.retry_delay.ToMilliseconds() / 1000


def saying(text: str, number: int) -> messages_pb2.HandleMessageRequest:
    return messages_pb2.HandleMessageRequest(
        user_id=f"telegram:{number}", message_id=str(number), payload=messages_pb2.Payload(text=text)
    )


def pull_of(world: World, instance: str, **more: Any) -> Any:
    request = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id=instance, **more)
    return world.stub.PullOutbox(request, metadata=TOKEN)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


BUSY = ("RESOURCE_EXHAUSTED", "CHANNEL_BUSY", 1.0)
STALLED = ("DEADLINE_EXCEEDED", "CALL_STALLED", 0.0)


# --- limits ----------------------------------------------------------------------------------------------------------


async def test_a_channel_that_has_all_its_calls_open_is_told_so_and_others_are_served(tmp_path: Path) -> None:
    async with small_world(tmp_path, kernel_channel_calls=3) as world:
        hold = world.emulators.openai.hold(matching(text="unanswered"))
        waiting = [
            asyncio.ensure_future(world.stub.HandleMessage(saying("unanswered", number), metadata=TOKEN))
            for number in range(3)
        ]
        await until(lambda: len(world.emulators.openai.requests) == 3)
        for number in range(10, 15):
            assert await refusal(world.stub.HandleMessage(saying("hello", number), metadata=TOKEN)) == BUSY
        assert "hello" in (await world.ask(world.phone("Alice"), "hello")).text
        assert 'kernel_refused_calls_total{channel="telegram"} 5.0' in await world.metrics()
        hold.release()
        assert [each.status for each in await asyncio.gather(*waiting)] == [messages_pb2.MESSAGE_STATUS_COMPLETED] * 3
        assert (await world.stub.HandleMessage(saying("hello", 10), metadata=TOKEN)).replies


async def test_cancelled_calls_free_their_places(tmp_path: Path) -> None:
    async with small_world(tmp_path, kernel_channel_calls=2) as world:
        hold = world.emulators.openai.hold(matching(text="unanswered"))
        for turn in range(5):
            calls = [
                world.stub.HandleMessage(saying("unanswered", turn * 2 + each), metadata=TOKEN) for each in range(2)
            ]
            await until(lambda turn=turn: len(world.emulators.openai.requests) == 2 * turn + 2)
            for call in calls:
                call.cancel()
        hold.release()
        async with asyncio.timeout(10):
            while True:
                try:
                    await world.stub.HandleMessage(saying("hello", 99), metadata=TOKEN)
                except grpc.aio.AioRpcError as error:
                    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017 - only until it is known
                else:
                    break


async def test_a_channel_has_a_limit_of_streams_and_an_ended_one_makes_room(tmp_path: Path) -> None:
    async with small_world(tmp_path, kernel_channel_pulls=3) as world:
        pulls = [pull_of(world, f"gateway-{number}") for number in range(6)]
        reading = [asyncio.ensure_future(refusal(pull.read())) for pull in pulls]
        await until(lambda: sum(each.done() for each in reading) == 3)
        assert [each.result() for each in reading if each.done()] == [BUSY] * 3
        assert "hello" in (await world.ask(world.phone("Alice"), "hello")).text
        for pull in pulls:
            pull.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        message = saying("hello", 1)
        message.reply_mode = messages_pb2.REPLY_MODE_OUTBOX
        await world.stub.HandleMessage(message, metadata=TOKEN)
        async with asyncio.timeout(10):
            while not await _pulled(world):
                await asyncio.sleep(0.01)


async def _pulled(world: World) -> bool:
    """Whether there was room for a stream, which then delivered the answer."""
    try:
        return "hello" in (await pull_of(world, "gateway-5").read()).reply.reply.text
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # noqa: PT017 - its end takes a moment to be known
        return False


async def test_receipts_by_the_thousand_let_others_write_in_between(world: World) -> None:
    alice = world.phone("Alice")
    await world.ask(alice, "hello")
    receipts = [
        outbox_pb2.Receipt(channel_message_id=f"of nobody {each}", reached=outbox_pb2.DELIVERY_STAGE_READ)
        for each in range(1000)
    ]
    request = outbox_pb2.ReportReceiptsRequest(receipts=receipts)
    flood = [asyncio.ensure_future(world.stub.ReportReceipts(request, metadata=TOKEN)) for _ in range(12)]
    assert "again" in (await world.ask(alice, "hello again")).text
    assert sum(call.done() for call in flood) < len(flood) / 2
    assert [answer.unknown for answer in await asyncio.gather(*flood)] == [1000] * 12


# --- stalls ----------------------------------------------------------------------------------------------------------


async def wanted_files(world: World, count: int) -> tuple[Any, list[media_pb2.MediaWanted]]:
    """A stream, and the files that it was asked for, each of another person."""
    pull = pull_of(world, "one", kinds=KINDS)
    for number in range(count):
        payload = messages_pb2.Payload(
            document=media_pb2.Media(mime_type="application/pdf", filename="a.pdf", media_ref=str(number))
        )
        request = messages_pb2.HandleMessageRequest(
            user_id=f"telegram:{number}", message_id="1", payload=payload, reply_mode=messages_pb2.REPLY_MODE_OUTBOX
        )
        await world.stub.HandleMessage(request, metadata=TOKEN)
    async with asyncio.timeout(20):
        return pull, [(await pull.read()).media_wanted for _ in range(count)]


async def begun(world: World, wanted: media_pb2.MediaWanted) -> Any:
    """An upload that has sent 300 kB and then stalls."""
    call = world.stub.UploadMedia(metadata=TOKEN)
    header = media_pb2.UploadMediaHeader(media_id=wanted.media_id, lease_token=wanted.lease_token)
    await call.write(media_pb2.UploadMediaRequest(header=header))
    await call.write(media_pb2.UploadMediaRequest(chunk=BILL[:300_000]))
    return call


async def kept_bytes(world: World) -> tuple[int, int]:
    """The counted bytes of files, and the number of chunks."""

    def count(tx: Tx) -> tuple[int, int]:
        sizes = tx.execute(select(media.c.size).where(media.c.state == "wanted")).scalars()
        return sum(sizes), len(tx.execute(select(media_chunk.c.number)).all())

    return await world.kernel.store.engine.read(count)


async def test_stalled_uploads_end_and_leave_no_bytes_and_other_channels_bring_theirs_meanwhile(tmp_path: Path) -> None:
    async with small_world(tmp_path, kernel_channel_uploads=2, kernel_upload_idle_seconds=3) as world:
        pull, wanted = await wanted_files(world, 4)
        stalled = [await begun(world, each) for each in wanted]  # two at work, two wait for them
        alice = world.phone("Alice")
        await alice.send_file("image", png(), "image/png")
        answer = await alice.wait_for_message(timeout=20)
        assert digest(png()) in answer.text
        assert not any(call.done() for call in stalled[2:])
        assert [await refusal(call) for call in stalled] == [STALLED] * 4
        assert await kept_bytes(world) == (0, 0)
        await _bring(world, wanted[0])
        pull.cancel()


async def _bring(world: World, wanted: media_pb2.MediaWanted) -> None:
    call = await begun(world, wanted)
    for start in range(300_000, len(BILL), 100_000):
        await call.write(media_pb2.UploadMediaRequest(chunk=BILL[start : start + 100_000]))
    await call.done_writing()
    assert (await call).size_bytes == len(BILL)


async def test_a_slow_but_steady_upload_is_accepted(tmp_path: Path) -> None:
    async with small_world(tmp_path, kernel_upload_idle_seconds=1) as world:
        pull, (wanted,) = await wanted_files(world, 1)
        call = await begun(world, wanted)
        for start in range(300_000, len(BILL), 50_000):
            await asyncio.sleep(0.3)
            await call.write(media_pb2.UploadMediaRequest(chunk=BILL[start : start + 50_000]))
        await call.done_writing()
        assert (await call).size_bytes == len(BILL)
        pull.cancel()


async def test_an_upload_that_its_client_cuts_off_leaves_no_bytes(world: World) -> None:
    pull, (wanted,) = await wanted_files(world, 1)
    call = await begun(world, wanted)
    async with asyncio.timeout(10):
        while await kept_bytes(world) == (0, 0):
            await asyncio.sleep(0.01)
        call.cancel()
        while await kept_bytes(world) != (0, 0):
            await asyncio.sleep(0.01)
    await _bring(world, wanted)
    pull.cancel()


async def test_a_request_that_never_comes_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interceptors, "BODY_SECONDS", 0.2)
    async with small_world(tmp_path) as world:
        for rpc in ("HandleMessage", "StreamMessage", "PullOutbox"):
            call: Any = world.channel.stream_stream(f"/kernel.v1.KernelService/{rpc}")(metadata=TOKEN)
            assert await refusal(call.read()) == STALLED
        assert 'kernel_refused_calls_total{channel="telegram"}' not in await world.metrics()


# --- missing tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong-token-wrong-token"),)])
async def test_a_call_without_a_token_is_refused_before_any_of_it_is_received(world: World, metadata: Any) -> None:
    for rpc in ("HandleMessage", "PullOutbox", "UploadMedia", "ListConnections"):
        call: Any = world.channel.stream_stream(f"/kernel.v1.KernelService/{rpc}")(metadata=metadata)
        async with asyncio.timeout(5):  # nothing is ever sent
            assert (await refusal(call.read()))[0] == "UNAUTHENTICATED"


async def test_refused_tokens_are_counted_and_logged_now_and_then_without_their_value(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    given = "Bearer wrong-token-wrong-token"
    for number in range(20):
        call = world.stub.HandleMessage(saying("hello", number), metadata=(("authorization", given),))
        assert (await refusal(call))[:2] == ("UNAUTHENTICATED", "TOKEN_INVALID")
    call = world.stub.HandleMessage(saying("hello", 1))
    assert (await refusal(call))[:2] == ("UNAUTHENTICATED", "TOKEN_MISSING")
    metrics = await world.metrics()
    assert 'kernel_refused_tokens_total{reason="TOKEN_INVALID"} 20.0' in metrics
    assert 'kernel_refused_tokens_total{reason="TOKEN_MISSING"} 1.0' in metrics
    lines = [record.getMessage() for record in caplog.records if "token refused" in record.getMessage()]
    assert len(lines) == 6
    assert all("method=HandleMessage from=ipv4:127.0.0.1" in line for line in lines)
    assert "wrong" not in caplog.text
    assert not re.search(r"[0-9a-f]{16}", "".join(lines))


@pytest.mark.parametrize(
    "value",
    [
        WHATSAPP_TOKEN,
        f"bearer  {WHATSAPP_TOKEN}x",
        f"Bearer {WHATSAPP_TOKEN[:-1]}",
        "Bearer",
        "Bearer ",
        "Basic x",
    ],
)
async def test_a_malformed_bearer_token_is_refused(world: World, value: str) -> None:
    call = world.stub.HandleMessage(saying("hello", 1), metadata=(("authorization", value),))
    assert (await refusal(call))[:2] == ("UNAUTHENTICATED", "TOKEN_INVALID")


async def test_health_is_open_and_bounded(world: World) -> None:
    health = health_pb2_grpc.HealthStub(world.channel)
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.SERVING
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(world.kernel_address, options=options)
    stub = health_pb2_grpc.HealthStub(channel)
    watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(120)]
    first = await asyncio.gather(*(watch.read() for watch in watching), return_exceptions=True)
    refused = [each for each in first if isinstance(each, grpc.aio.AioRpcError)]
    assert 20 <= len(refused) < 30  # the gateway, of the same address here, watches as well
    assert {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    await channel.close()
    assert "hello" in (await world.ask(world.phone("Alice"), "hello")).text


async def test_a_refused_request_is_released_at_once(world: World) -> None:
    """Without the garbage collector, which runs rarely: it would find only few objects, though large ones."""
    large = saying("x" * 600_000, 1)
    aliases = messages_pb2.HandleMessageRequest(
        user_id="telegram:1", message_id="1", aliases=[identity_pb2.Alias()] * 500_000
    )
    gc.collect()
    gc.disable()
    try:
        for request in (large, aliases, messages_pb2.HandleMessageRequest(), saying("hello", 2)) * 3:
            with suppress(grpc.aio.AioRpcError):
                await world.stub.HandleMessage(request, metadata=TOKEN)
        await until(lambda: not _held_messages())
    finally:
        gc.enable()


def _held_messages() -> list[interceptors.Sized]:
    held = (one for one in gc.get_objects() if isinstance(one, interceptors.Sized))
    return [one for one in held if isinstance(one.request, messages_pb2.HandleMessageRequest)]
