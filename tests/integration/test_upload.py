"""A separate channel brings files by the contract: PullOutbox with media, UploadMedia, AckOutbox."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kernel.v1 import media_pb2, messages_pb2, outbox_pb2

from kernel_service import texts
from tests.integration.files import digest, pdf, png
from tests.integration.world import TELEGRAM_TOKEN, WHATSAPP_TOKEN, World, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KINDS = [outbox_pb2.OUTBOX_ITEM_KIND_REPLY, outbox_pb2.OUTBOX_ITEM_KIND_MEDIA_WANTED]
BILL = pdf("Rent", filler=500_000)


class Channel:
    """A Telegram channel, as another developer may write it."""

    def __init__(self, world: World, stream: Any) -> None:
        self.all_read = False
        """Whether the last upload was read to its end."""
        self._world = world
        self._stream = stream

    async def send(self, message_id: str, kind: str = "document", mime_type: str = "application/pdf") -> None:
        payload = messages_pb2.Payload(caption="How much?")
        getattr(payload, kind).CopyFrom(media_pb2.Media(mime_type=mime_type, filename="a.pdf", media_ref=message_id))
        request = messages_pb2.HandleMessageRequest(
            user_id="telegram:7", message_id=message_id, payload=payload, reply_mode=messages_pb2.REPLY_MODE_OUTBOX
        )
        await self._world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=10)

    async def next(self, timeout: float = 15) -> outbox_pb2.PullOutboxResponse:
        return await asyncio.wait_for(self._stream.read(), timeout)

    async def wanted(self) -> media_pb2.MediaWanted:
        item = await self.next()
        assert item.WhichOneof("item") == "media_wanted"
        return item.media_wanted

    async def answer(self) -> str:
        item = await self.next()
        assert item.WhichOneof("item") == "reply"
        return item.reply.reply.text

    async def upload(
        self, wanted: media_pb2.MediaWanted, data: bytes = BILL, token: str = TELEGRAM_TOKEN, **more: Any
    ) -> int:
        header = media_pb2.UploadMediaHeader(media_id=wanted.media_id, lease_token=wanted.lease_token, **more)

        async def requests() -> AsyncIterator[media_pb2.UploadMediaRequest]:
            yield media_pb2.UploadMediaRequest(header=header)
            for start in range(0, len(data), 65536):
                yield media_pb2.UploadMediaRequest(chunk=data[start : start + 65536])
            self.all_read = True

        self.all_read = False
        answer = await self._world.stub.UploadMedia(requests(), metadata=bearer(token), timeout=20)
        return int(answer.size_bytes)

    async def ack(self, wanted: media_pb2.MediaWanted, **result: Any) -> Any:
        media = outbox_pb2.MediaAcknowledgement(media_id=wanted.media_id, **result)
        given = outbox_pb2.Acknowledgement(lease_token=wanted.lease_token, media=media)
        request = outbox_pb2.AckOutboxRequest(acknowledgements=[given])
        answer = await self._world.stub.AckOutbox(request, metadata=bearer(TELEGRAM_TOKEN), timeout=10)
        (settled,) = answer.results
        return settled


@asynccontextmanager
async def pulling(world: World, **more: Any) -> AsyncIterator[Channel]:
    request = outbox_pb2.PullOutboxRequest(channel="telegram", instance_id="one", **({"kinds": KINDS} | more))
    stream = world.stub.PullOutbox(request, metadata=bearer(TELEGRAM_TOKEN))
    try:
        yield Channel(world, stream)
    finally:
        stream.cancel()


@pytest.fixture
async def channel(world: World) -> AsyncIterator[Channel]:
    async with pulling(world) as opened:
        yield opened


def reason(error: grpc.aio.AioRpcError) -> str:
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)
    return str(info.reason)


async def refused(upload: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await upload
    return reason(caught.value)


async def test_a_file_is_asked_for_brought_and_answered(channel: Channel) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    assert (wanted.media_ref, wanted.max_bytes) == ("1", 32 * 1024 * 1024)
    size = await channel.upload(wanted, size_bytes=len(BILL), sha256=hashlib.sha256(BILL).digest())
    assert size == len(BILL)
    assert digest(BILL) in await channel.answer()


async def test_a_repeated_upload_is_harmless(channel: Channel, world: World) -> None:
    hold = world.emulators.openai.hold()
    await channel.send("1")
    wanted = await channel.wanted()
    assert await channel.upload(wanted) == await channel.upload(wanted, b"other bytes") == len(BILL)
    hold.release()
    assert digest(BILL) in await channel.answer()


async def test_damaged_bytes_may_be_uploaded_again(channel: Channel) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    large = b"x" * 4_000_000  # its client is still writing when it is refused, and still learns why
    for wrong in ({"sha256": b"x" * 32}, {"size_bytes": 3}, {"sha256": b"short"}):
        assert await refused(channel.upload(wanted, large, **wrong)) == "FIELD_INVALID"
        assert channel.all_read
    await channel.upload(wanted)
    assert digest(BILL) in await channel.answer()


async def test_an_upload_that_is_cut_off_is_not_complete(channel: Channel, world: World) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    for pause in (0, 0.01, 0.1):
        call = world.stub.UploadMedia(metadata=bearer(TELEGRAM_TOKEN))
        header = media_pb2.UploadMediaHeader(media_id=wanted.media_id, lease_token=wanted.lease_token)
        await call.write(media_pb2.UploadMediaRequest(header=header))
        await call.write(media_pb2.UploadMediaRequest(chunk=BILL[:300_000]))
        await asyncio.sleep(pause)
        call.cancel()
    with pytest.raises(TimeoutError):
        await channel.next(timeout=0.5)
    assert await channel.upload(wanted) == len(BILL)


@pytest.mark.parametrize("known", [True, False])
async def test_an_upload_that_is_too_large_is_not_waited_for(channel: Channel, *, known: bool) -> None:
    await channel.send("1", "image", "image/png")
    wanted = await channel.wanted()
    data = png() + bytes(wanted.max_bytes)
    size = len(data) if known else 0
    assert await refused(channel.upload(wanted, data, size_bytes=size)) == "PAYLOAD_TOO_LARGE"
    assert texts.attachments.FOR_MODEL["too_large"] in await channel.answer()


async def test_another_type_than_was_announced(channel: Channel) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    assert await refused(channel.upload(wanted, mime_type="application/zip")) == "FIELD_INVALID"
    assert texts.attachments.FOR_MODEL["wrong_type"] in await channel.answer()


async def test_strangers_cannot_upload(channel: Channel) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    assert await refused(channel.upload(wanted, token=WHATSAPP_TOKEN)) == "MEDIA_NOT_FOUND"
    forged = media_pb2.MediaWanted(media_id=wanted.media_id, lease_token="guessed")
    assert await refused(channel.upload(forged)) == "MEDIA_NOT_FOUND"
    assert await refused(channel.upload(media_pb2.MediaWanted(media_id="m_x", lease_token="t"))) == "MEDIA_NOT_FOUND"
    assert await refused(channel.upload(media_pb2.MediaWanted(lease_token="t"))) == "FIELD_REQUIRED"


async def test_an_unavailable_file_is_reported(channel: Channel) -> None:
    await channel.send("1")
    wanted = await channel.wanted()
    failed = outbox_pb2.DeliveryFailed(error_code="too_large")
    assert await channel.ack(wanted) == outbox_pb2.ACK_RESULT_INVALID
    assert await channel.ack(wanted, retry=outbox_pb2.DeliveryRetry()) == outbox_pb2.ACK_RESULT_RECORDED
    nobody_s = media_pb2.MediaWanted(media_id="m_x")
    assert await channel.ack(nobody_s, failed=failed) == outbox_pb2.ACK_RESULT_UNKNOWN
    assert await channel.ack(wanted, failed=failed) == outbox_pb2.ACK_RESULT_RECORDED
    assert texts.attachments.FOR_MODEL["too_large"] in await channel.answer()


async def test_files_count_in_the_credit(world: World) -> None:
    async with pulling(world, max_in_flight=1) as channel:
        await channel.send("1")
        await channel.send("2")
        first = await channel.wanted()
        waiting = asyncio.ensure_future(channel.wanted())
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await channel.upload(first)
        assert {first.media_ref, (await waiting).media_ref} == {"1", "2"}


async def test_a_channel_that_goes_away_delays_no_file(world: World) -> None:
    async with pulling(world) as channel:
        await channel.send("1")
        first = await channel.wanted()
    async with pulling(world) as channel:
        second = await channel.wanted()
        assert (second.media_id, second.lease_token == first.lease_token) == (first.media_id, False)
        assert await refused(channel.upload(first)) == "MEDIA_NOT_FOUND"
        await channel.upload(second)
        assert digest(BILL) in await channel.answer()


async def test_a_channel_that_accepts_no_files_gets_none(world: World) -> None:
    async with pulling(world, kinds=[outbox_pb2.OUTBOX_ITEM_KIND_REPLY]) as channel:
        await channel.send("1")
        with pytest.raises(TimeoutError):
            await channel.next(timeout=0.5)
