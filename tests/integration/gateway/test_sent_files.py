"""Files of replies: fetched from the kernel service, uploaded, and sent by id. A refused file is named in words."""

import json
from typing import Any

import pytest
from google.rpc import code_pb2
from kernel.v1 import media_pb2, messages_pb2

from emulators.app import Emulators
from emulators.faults import matching
from emulators.whatsapp.errors import GraphError, status_error
from emulators.whatsapp.phones import Phone
from tests.integration.files import pdf, png
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.fake_kernel import FakeKernel
from tests.integration.gateway.payloads import NUMBER
from whatsapp_gateway.graph.retry_policy import CIRCUIT_OPEN_SECONDS

CHART = png(shade=9, side=40)
BILL = pdf("Rent", filler=300_000)
UPLOADS = matching(path=f"/{NUMBER}/media")


@pytest.fixture
async def alice(gateway: Gateway, emulators: Emulators) -> Phone:
    phone = emulators.whatsapp.add_phone("Alice")
    await phone.send("draw it")
    return phone


def tell(kernel: FakeKernel, phone: Phone, *files: media_pb2.Media, text: str = "Here", **fields: Any) -> None:
    kernel.lease(text, user_id=f"whatsapp:{phone.user_id}", media=files, **fields)


def data_of(emulators: Emulators, phone: Phone) -> list[tuple[str, str, bytes | None]]:
    """Kind, text and bytes of every message that the phone received."""
    files = emulators.whatsapp.files
    return [
        (message.kind, message.text, kept.data if message.file and (kept := files.get(message.file.id)) else None)
        for message in phone.received
    ]


async def acknowledged(kernel: FakeKernel, count: int = 1) -> list[tuple[Any, str]]:
    await kernel.until(lambda: len(kernel.acks) == count)
    return [(ack.outcome, ack.error_code) for ack in kernel.acks]


def refusal(code: int) -> dict[str, Any]:
    error = GraphError(code)
    return {"status": error.status, "body": json.dumps(error.body())}


async def test_a_picture_has_the_words_as_caption(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    tell(
        kernel,
        alice,
        kernel.file(CHART, "image/png", "chart.png"),
        text="**Here** it is",
        quoted_message_id=alice.messages[0].id,
    )
    assert await acknowledged(kernel) == [("sent", "")]
    assert data_of(emulators, alice) == [("image", "*Here* it is", CHART)]
    assert alice.received[0].quotes == alice.messages[0].id


async def test_each_file_is_sent_as_its_kind(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    files = [
        kernel.file(BILL, "application/pdf", "bill.pdf"),
        kernel.file(b"a,b", "text/csv", "table.csv"),
        kernel.file(b"{}", "application/json"),
        kernel.file(b"ID3", "audio/mpeg", "song.mp3"),
        kernel.file(b"film", "video/mp4"),
        kernel.file(b"OggS", "audio/ogg; codecs=opus"),
        kernel.file(b"{ }", "Application/JSON;charset=utf-8"),
    ]
    tell(kernel, alice, *files)
    await acknowledged(kernel, 7)
    assert data_of(emulators, alice) == [
        ("document", "Here", BILL),
        ("document", "table.csv", b"a,b"),
        ("document", "file.json", b"{}"),
        ("audio", "Audio", b"ID3"),
        ("video", "Video", b"film"),
        ("audio", "Audio", b"OggS"),
        ("document", "file.json", b"{ }"),
    ]
    uploaded = [effect.detail["mime_type"] for effect in emulators.effects.all("media_uploaded")]
    assert uploaded[:5] == ["application/pdf", "text/plain", "text/plain", "audio/mpeg", "video/mp4"]
    assert uploaded[5:] == ["audio/ogg", "text/plain"]


async def test_words_too_long_for_a_caption_are_sent_before_the_file(alice: Phone, kernel: FakeKernel) -> None:
    tell(kernel, alice, kernel.file(CHART, "image/png"), text="x" * 1025)
    await acknowledged(kernel, 2)
    assert [message.kind for message in alice.received] == ["text", "image"]
    link = messages_pb2.Link(url="https://a.b/c", title="Connect")
    tell(kernel, alice, kernel.file(CHART, "image/png"), text="Connect", link=link, id="rp_2")
    await acknowledged(kernel, 4)
    assert [message.kind for message in alice.received[2:]] == ["interactive", "image"]


@pytest.mark.parametrize(
    ("mime_type", "size"), [("application/zip", 3), ("image/gif", 3), ("image/png", 5 * 1024 * 1024 + 1)]
)
async def test_a_file_that_whatsapp_refuses_is_named_in_words(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, mime_type: str, size: int
) -> None:
    tell(kernel, alice, kernel.file(bytes(size), mime_type, "all.bin"))
    await acknowledged(kernel)
    assert data_of(emulators, alice) == [("text", "Here\n\n(all.bin cannot be sent on WhatsApp.)", None)]
    assert "DownloadMedia" not in kernel.calls


@pytest.mark.parametrize("code", [131052, 131053])
@pytest.mark.parametrize("place", ["upload", "send"])
async def test_it_is_uploaded_again_once(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, code: int, place: str
) -> None:
    faults = emulators.whatsapp.media.faults if place == "upload" else emulators.whatsapp.graph.before
    match = UPLOADS if place == "upload" else matching(text="image")
    faults.fail(**refusal(code), match=match)
    tell(kernel, alice, kernel.file(CHART, "image/png", "chart.png"))
    assert await acknowledged(kernel) == [("sent", "")]
    assert data_of(emulators, alice) == [("image", "Here", CHART)]
    faults.fail(**refusal(code), times=2, match=match)
    tell(kernel, alice, kernel.file(CHART, "image/png", "chart.png"), id="rp_2")
    assert await acknowledged(kernel, 2) == [("sent", "")] * 2
    assert data_of(emulators, alice)[1:] == [("text", "Here\n\n(chart.png cannot be sent on WhatsApp.)", None)]


@pytest.mark.parametrize("code", [131052, 131053])
async def test_a_status_that_says_so_has_it_uploaded_again_once(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, code: int
) -> None:
    emulators.whatsapp.statuses.withhold()
    tell(kernel, alice, kernel.file(CHART, "image/png", "chart.png"))
    shown = await alice.wait_for_message()
    emulators.whatsapp.statuses._withheld.clear()
    emulators.whatsapp.statuses.release()
    for count in (1, 2):
        emulators.whatsapp.statuses.report(alice, shown, "failed", status_error(code, "Upload failed."))
        await kernel.until(lambda count=count: len(kernel.receipts) == count)  # type: ignore[misc]
    outcomes = [receipt.outcome for receipt in kernel.receipts]
    assert outcomes == ["retry", "failed"]


async def test_a_transient_fault_is_retried_by_the_kernels_clock(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    emulators.whatsapp.media.faults.fail(503, match=UPLOADS)
    tell(kernel, alice, kernel.file(CHART, "image/png"))
    assert await acknowledged(kernel) == [("retry", "http_503")]
    kernel.refusals["DownloadMedia"] = lambda _: (code_pb2.UNAVAILABLE, "STORE_UNAVAILABLE")
    tell(kernel, alice, kernel.file(CHART, "image/png"), id="rp_2")
    assert (await acknowledged(kernel, 2))[1] == ("retry", "store_unavailable")
    assert alice.received == []


async def test_damaged_bytes_are_not_sent(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    file = kernel.file(CHART, "image/png")
    kernel.files[file.media_ref] = CHART[:-1]
    tell(kernel, alice, file)
    assert await acknowledged(kernel) == [("retry", "damaged")]
    assert emulators.effects.all("media_uploaded") == []


async def test_a_refused_token_is_an_alert(
    alice: Phone, kernel: FakeKernel, emulators: Emulators, caplog: pytest.LogCaptureFixture
) -> None:
    emulators.whatsapp.media.faults.fail(**refusal(190), match=UPLOADS)
    tell(kernel, alice, kernel.file(CHART, "image/png"))
    assert await acknowledged(kernel) == [("retry", "190")]
    assert kernel.acks[0].retry_after == CIRCUIT_OPEN_SECONDS
    assert "alert:" in caplog.text


async def test_a_missing_file_is_named_in_words(alice: Phone, kernel: FakeKernel, emulators: Emulators) -> None:
    kernel.refusals["DownloadMedia"] = lambda _: (code_pb2.NOT_FOUND, "MEDIA_NOT_FOUND")
    tell(kernel, alice, kernel.file(CHART, "image/png", "chart.png"))
    assert await acknowledged(kernel) == [("sent", "")]
    assert data_of(emulators, alice) == [("text", "Here\n\n(chart.png cannot be sent on WhatsApp.)", None)]


async def test_a_lease_that_ends_meanwhile_sends_nothing(
    alice: Phone, kernel: FakeKernel, emulators: Emulators
) -> None:
    tell(kernel, alice, kernel.file(CHART, "image/png"), seconds=20)
    assert await acknowledged(kernel) == [("retry", "upload_late")]
    assert emulators.effects.all("media_uploaded") == []
    assert alice.received == []
