"""Files from a phone, through both services, to the emulated model, which describes the files that it gets."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from kernel.v1 import media_pb2, messages_pb2
from sqlalchemy import select

from emulators.faults import matching
from kernel_service.ports.media import WAIT_SECONDS
from kernel_service.storage.schema.media import media, media_chunk
from kernel_service.texts.attachments import FOR_MODEL, unopened, unsupported
from tests.integration.files import JPEG, VOICE, digest, pdf, png, shown
from tests.integration.world import TELEGRAM_TOKEN, World, bearer

if TYPE_CHECKING:
    from emulators.whatsapp.chat import ChatMessage
    from emulators.whatsapp.phones import Phone
    from kernel_service.storage.engine.engine import Tx


async def send(world: World, phone: Phone, kind: str, data: bytes, mime_type: str, **more: Any) -> ChatMessage:
    """Send a file, and wait for the answer."""
    await phone.send_file(kind, data, mime_type, **more)
    return await phone.wait_for_message(timeout=20)


async def kept(world: World) -> int:
    """Chunks and rows of files that the kernel service still keeps."""
    await world.kernel.transfers.sweep()

    def count(tx: Tx) -> int:
        return sum(len(tx.execute(select(table)).all()) for table in (media, media_chunk))

    return await world.kernel.store.engine.read(count)


async def test_a_photo_with_a_question(world: World) -> None:
    alice = world.phone("Alice")
    answer = await send(world, alice, "image", png(), "image/png", caption="What is this?")
    assert "What is this?" in answer.text
    assert digest(png()) in answer.text
    later = await world.ask(alice, "And its colour?")
    assert "colour" in later.text
    assert shown(world) == [hashlib.sha256(png()).hexdigest()], "later turns have words instead"
    assert await kept(world) == 0


async def test_a_picture_is_known_by_its_bytes(world: World) -> None:
    """WhatsApp calls some PNGs JPEG; the model's vendor refuses a picture under a wrong name."""
    answer = await send(world, world.phone("Alice"), "image", png(), "image/jpeg")
    assert f"image/png, {digest(png())}" in answer.text


@pytest.mark.parametrize("mime_type", ["", "application/octet-stream", "application/pdf", "image/jpg; q=1"])
async def test_a_picture_without_a_type_is_seen(world: World, mime_type: str) -> None:
    answer = await send(world, world.phone("Alice"), "image", png(), mime_type)
    assert f"image/png, {digest(png())}" in answer.text


@pytest.mark.parametrize("mime_type", ["", "application/octet-stream", "text/plain", "audio/ogg; codecs=opus"])
async def test_a_sound_without_a_type_is_heard(world: World, mime_type: str) -> None:
    await send(world, world.phone("Alice"), "audio", VOICE, mime_type, voice=True)
    assert shown(world) == [hashlib.sha256(VOICE).hexdigest()]


async def test_a_voice_note_is_heard_once(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.openai.fail(503, match=matching(path="/responses"))
    answer = await send(world, alice, "audio", VOICE, "audio/ogg; codecs=opus", voice=True)
    assert f"(voice) A recording of {digest(VOICE)}" in answer.text
    assert len(world.emulators.effects.all("transcription")) == 1, "the turn was held, and what was heard was kept"
    later = await world.ask(alice, "What did I say?")
    assert f"“A recording of {digest(VOICE)}.”" in later.text


async def test_a_pdf_is_read(world: World) -> None:
    data = pdf("Rent for May", filler=400_000)
    answer = await send(
        world, world.phone("Alice"), "document", data, "application/pdf", filename="bill.pdf", caption="How much?"
    )
    assert f"bill.pdf: application/pdf, {digest(data)}, begins “Rent for May”" in answer.text


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (("video", b"film", "video/mp4"), unsupported("video")),
        (("sticker", b"RIFF....WEBP", "image/webp"), unsupported("sticker")),
        (("document", b"PK", "application/zip"), unsupported("document")),
        (
            ("document", pdf("x", password="secret"), "application/pdf"),
            unopened("document", "locked"),
        ),
        (("document", b"MZ no pdf", "application/pdf"), unopened("document", "wrong_type")),
        (("image", b"no picture", "image/png"), unopened("image", "wrong_type")),
    ],
)
async def test_a_file_that_cannot_be_opened_is_reported(
    world: World, file: tuple[str, bytes, str], sentence: str
) -> None:
    answer = await send(world, world.phone("Alice"), *file)
    assert answer.text == sentence
    assert world.emulators.effects.all("model_call") == []
    assert await kept(world) == 0


async def test_a_pdf_that_opens_by_itself_is_read_though_it_is_encrypted(world: World) -> None:
    data = pdf("Terms", password="")
    answer = await send(world, world.phone("Alice"), "document", data, "application/pdf", filename="terms.pdf")
    assert digest(data) in answer.text


async def test_a_file_that_the_model_cannot_open_is_reported_and_the_question_answered(world: World) -> None:
    alice = world.phone("Alice")
    answer = await send(world, alice, "image", JPEG, "image/jpeg", caption="Who is this?")
    assert digest(JPEG) in answer.text
    refusal = '{"error": {"message": "broken", "type": "invalid_request_error", "param": null, "code": "invalid_file"}}'
    world.emulators.openai.fail(400, body=refusal)
    answer = await send(world, alice, "image", JPEG + b"!", "image/jpeg", caption="And this?")
    assert FOR_MODEL["unreadable"] in answer.text
    assert "And this?" in answer.text


async def test_a_recording_that_cannot_be_heard(world: World) -> None:
    answer = await send(world, world.phone("Alice"), "audio", b"broken", "audio/ogg", voice=True)
    assert FOR_MODEL["unreadable"] in answer.text


async def test_a_file_that_is_gone_at_whatsapp(world: World) -> None:
    alice = world.phone("Alice")
    world.emulators.whatsapp.media.faults.fail(404, times=9, match=matching(path="/media/"))
    answer = await send(world, alice, "image", png(), "image/png")
    assert answer.text == unopened("image", "expired")
    answer = await send(world, alice, "image", png(), "image/png", caption="This?")
    assert FOR_MODEL["expired"] in answer.text


@pytest.mark.parametrize("way", ["leads_to", "moved_to"])
async def test_the_token_is_never_sent_to_a_forged_file_address(world: World, way: str) -> None:
    asked: list[str] = []

    async def serve(request: web.BaseRequest) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.Response(body=png(), content_type="image/png")

    async with RawTestServer(serve) as stranger:
        setattr(world.emulators.whatsapp.media, way, str(stranger.make_url("/secret")))
        alice = world.phone("Alice")
        answer = await send(world, alice, "image", png(), "image/png")
        setattr(world.emulators.whatsapp.media, way, "")
    assert asked == []
    assert answer.text == unopened("image", "unavailable")
    answer = await send(world, alice, "image", png(), "image/png")
    assert digest(png()) in answer.text


async def test_an_expired_address_is_requested_again(world: World) -> None:
    world.emulators.whatsapp.media.faults.fail(404, match=matching(path="/attachments/"))
    answer = await send(world, world.phone("Alice"), "image", png(), "image/png")
    assert digest(png()) in answer.text


async def test_whatsapp_away_for_a_moment(world: World) -> None:
    world.emulators.whatsapp.media.faults.fail(503, match=matching(path="/media/"))
    answer = await send(world, world.phone("Alice"), "image", png(), "image/png")
    assert digest(png()) in answer.text


async def test_others_are_answered_while_a_file_is_on_its_way(world: World) -> None:
    alice, bob = world.phone("Alice"), world.phone("Bob")
    hold = world.emulators.whatsapp.media.faults.hold(matching(path="/attachments/"))
    await alice.send_file("image", png(), "image/png")
    await hold.reached.wait()
    await alice.send("and what is that?")
    assert "hello" in (await world.ask(bob, "hello")).text
    assert alice.received == []
    hold.release()
    answer = await alice.wait_for_message(timeout=20)
    assert digest(png()) in answer.text
    assert "and what is that?" in answer.text


async def test_both_services_restart_while_a_file_is_on_its_way(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.whatsapp.media.faults.hold(matching(path="/attachments/"))
    await alice.send_file("image", png(), "image/png", caption="What is this?")
    await hold.reached.wait()
    await world.stop_kernel()
    await world.start_kernel()
    await world.stop_gateway()
    hold.release()
    await world.start_gateway()
    answer = await alice.wait_for_message(timeout=20)
    assert digest(png()) in answer.text
    assert len(alice.received) == 1


async def test_the_kernel_restarts_before_the_model_has_answered(world: World) -> None:
    alice = world.phone("Alice")
    hold = world.emulators.openai.hold(matching(path="/responses"))
    await alice.send_file("document", pdf("Lease"), "application/pdf", filename="lease.pdf")
    await hold.reached.wait()
    await world.stop_kernel()
    hold.release()
    await world.start_kernel()
    answer = await alice.wait_for_message(timeout=20)
    assert digest(pdf("Lease")) in answer.text


# --- another channel ----------------------------------------------------------------------------------------------


def handed_in(message_id: str, **media: Any) -> messages_pb2.HandleMessageRequest:
    payload = messages_pb2.Payload(image=media_pb2.Media(**media), caption="Look")
    return messages_pb2.HandleMessageRequest(user_id="telegram:7", message_id=message_id, payload=payload)


async def test_bytes_that_come_with_the_message(world: World) -> None:
    request = handed_in("1", mime_type="image/png", data=png())
    first = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)
    again = await world.stub.HandleMessage(request, metadata=bearer(TELEGRAM_TOKEN), timeout=20)
    assert digest(png()) in first.replies[0].text
    assert again.duplicate
    assert again.replies == first.replies
    assert await kept(world) == 0


async def test_a_channel_that_never_brings_a_file(world: World) -> None:
    """No consumer of that channel pulls. The test sets the clock forward instead of waiting."""
    waiting = asyncio.ensure_future(
        world.stub.HandleMessage(
            handed_in("1", mime_type="image/png", media_ref="file-1"), metadata=bearer(TELEGRAM_TOKEN), timeout=30
        )
    )
    await until_accepted(world, "telegram:7")
    await world.kernel.sweeper.sweep()
    assert world.emulators.effects.all("model_call") == []
    world.wall = lambda: time.time() + WAIT_SECONDS + 1
    await world.kernel.sweeper.sweep()
    answer = await waiting
    assert FOR_MODEL["unavailable"] in answer.replies[0].text
    assert "Look" in answer.replies[0].text


async def until_accepted(world: World, user_id: str) -> None:
    async with asyncio.timeout(30):
        while await world.kernel.store.people.last_person_of(user_id) is None:
            await asyncio.sleep(0.01)
